"""From raw volumes to training episodes. Imports nothing of TensorFlow except in `stream.py`."""
