"""Self-supervised learning: segment bank, encoders, pretext objectives, and the training loop."""
