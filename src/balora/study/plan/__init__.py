"""Plan a study: choose its blocks, seeds, profile and suites, list its runs, and estimate their cost."""
