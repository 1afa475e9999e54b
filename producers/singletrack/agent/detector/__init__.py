"""The elements of a screenshot, with their roles."""
