"""The clinical table: from a file to validated values."""
