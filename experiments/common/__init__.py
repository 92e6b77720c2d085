"""What several experiments share: their scales, and the commands that they are made of."""
