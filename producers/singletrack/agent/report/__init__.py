"""What came of a run: JSON, a table, a page."""
