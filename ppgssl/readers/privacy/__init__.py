"""What keeps patients unnamed: pseudonyms, their key, messages without values."""
