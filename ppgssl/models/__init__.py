"""A fitted model as a folder that can be taken away: what it is, its numbers, and what it was fitted to."""
