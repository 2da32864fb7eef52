"""Every number that a report shows, as frozen records computed from the records of runs."""
