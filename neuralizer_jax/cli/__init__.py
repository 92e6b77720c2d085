"""The command line: one file a command. `main.py` parses; heavy imports happen inside the command that runs."""
