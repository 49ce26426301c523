"""The matrix every night: what is run, on one machine or many, and what became of it."""
