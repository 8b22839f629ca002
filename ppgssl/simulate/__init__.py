"""A physiological cohort with a known truth: made-up children, their oximeter recordings and clinical table."""
