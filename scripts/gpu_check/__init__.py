"""Test and measure balora on a GPU; with the standard library alone, as it looks for a Python with the rest."""
