"""Prediction: arrays in, the predicted output out."""
