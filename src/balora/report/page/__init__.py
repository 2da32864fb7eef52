"""Draw the page of a report from its frozen records: one HTML file that loads no other file."""
