"""New workspaces: what `lab init` writes."""
