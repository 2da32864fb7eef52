"""Score models with lm-evaluation-harness, and turn its samples into items that are compared like all others."""
