"""Reporting checklists, filled from the results."""
