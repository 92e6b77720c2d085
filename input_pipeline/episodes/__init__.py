"""Training episodes: plan, gather, apply, batch."""
