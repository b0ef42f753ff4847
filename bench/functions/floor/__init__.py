"""A function that does no more than the bare calls."""
