"""A small artificial language with planted flaws: text, tiny models pre-trained on it, and tasks with ground truth."""
