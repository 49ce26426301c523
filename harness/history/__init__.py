"""What the lab remembers: every run, outcome, cost, kernel and environment, in one SQLite file of the workspace."""
