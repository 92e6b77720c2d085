"""Images and anatomy made from label maps."""
