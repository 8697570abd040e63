"""The conversation's history, and what of it is worth keeping."""
