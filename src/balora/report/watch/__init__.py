"""The state of a study that is still running, for the terminal and for the page."""
