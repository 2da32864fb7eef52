"""Show the state of a study that is still running, on the terminal and on the page."""
