"""Programs that the check starts as processes of their own; each runs by its path."""
