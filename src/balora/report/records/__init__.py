"""Compute every number that a report shows from the records of runs, as frozen records."""
