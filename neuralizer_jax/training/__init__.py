"""Training: state, step, devices, checkpoints, records, loop."""
