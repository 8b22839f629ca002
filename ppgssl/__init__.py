"""Learn from every pulse-oximeter recording, and test honestly whether it predicts an outcome."""
