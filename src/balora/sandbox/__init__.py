"""Run generated programs in a separate process without network, home, environment or secrets, under limits."""
