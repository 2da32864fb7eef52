"""Tables of everything a report shows: the only source that Markdown, LaTeX, HTML and the terminal render."""
