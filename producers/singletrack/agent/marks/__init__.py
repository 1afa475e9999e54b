"""Candidates with numbers on them, and who chooses among them."""
