"""Stage 3: predictions of every arm for patients it has not seen -> results.json."""
