"""What a study keeps on disk: `study.json`, the folders of its runs, and the lock."""
