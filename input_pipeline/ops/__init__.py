"""What changes an image in an episode: spatial transforms, tasks, task augmentations."""
