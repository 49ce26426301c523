"""What a run leaves behind, and what people and programs read of it."""
