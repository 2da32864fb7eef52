"""Study folders: `study.json`, the folders of the runs, and the lock."""
