"""A synthetic grid with ground truth."""
