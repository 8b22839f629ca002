"""What cohort.yaml and study.yaml hold."""
