"""Plans: blocks and seeds, profiles, suites, costs, and the list of runs."""
