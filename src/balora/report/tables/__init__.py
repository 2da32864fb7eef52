"""Build the tables of a report, the only source that Markdown, LaTeX, HTML and the terminal render."""
