"""Build a small artificial language with planted flaws, tiny models pre-trained on it, and tasks with ground truth."""
