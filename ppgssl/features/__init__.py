"""Features: embeddings of segments, and their pooling to patients."""
