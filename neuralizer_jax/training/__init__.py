"""Training: state, step, devices, checkpoints, logs, loop."""
