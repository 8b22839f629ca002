"""Patient features, or segments, -> the probability of the outcome."""
