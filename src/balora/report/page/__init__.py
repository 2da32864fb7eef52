"""The page that people read: one HTML file that needs nothing else, drawn from the frozen records of a report."""
