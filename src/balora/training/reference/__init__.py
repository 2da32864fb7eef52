"""What the frozen model says about a row: keys of rows, marks of a reference, its outputs in memory and on disk."""
