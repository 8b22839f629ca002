"""Predictions -> metrics, intervals, tables. Knows no waveforms."""
