"""Where everything lies and what it is called: the MNI152 grid, label protocols, tissue classes."""
