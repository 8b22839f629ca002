"""What results.json holds."""
