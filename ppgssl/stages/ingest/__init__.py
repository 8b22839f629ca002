"""Stage 1: raw files and a clinical table -> the store of a cohort."""
