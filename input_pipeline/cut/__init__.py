"""Slices cut from volumes while episodes are made: where they lie, and what they show."""
