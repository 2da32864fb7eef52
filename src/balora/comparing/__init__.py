"""Compare systems by scores that they have item by item: our runs and studies, lm-eval's logs, tables; torch-free."""
