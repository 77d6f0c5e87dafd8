"""Many toys: the original study repeated, and the metrics held against the truth."""
