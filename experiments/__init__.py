"""Experiments: one Python file each, with `get_config()` (a training) or `get_commands()` (a whole experiment)."""
