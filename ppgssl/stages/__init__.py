"""One entry for each command; only these compose packages."""
