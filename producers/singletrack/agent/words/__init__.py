"""The texts on a screenshot."""
