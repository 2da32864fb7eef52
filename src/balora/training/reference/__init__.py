"""Cache the outputs of the frozen model, the reference: keys of rows, its identity, memory and disk."""
