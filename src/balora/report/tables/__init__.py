"""What a report shows, as tables: the only source that Markdown, LaTeX, HTML and the terminal render."""
