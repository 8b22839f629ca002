"""Sections of the report, in order."""
