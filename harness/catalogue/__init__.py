"""What can be asked for: strict TOML in, frozen values out. Knows nothing of processes."""
