"""Is the representation any good? Encoders of every objective, and baselines, on one task."""
