"""The workbench of `neuralizer serve`: a local page, and the HTTP calls behind it, to predict, correct and go on."""
