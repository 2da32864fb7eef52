"""Store a study in its folder: write `study.json` and the folders of the runs, and lock the folder."""
