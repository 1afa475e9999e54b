"""Answers of the VLM that hold for as long as the screen they were given for does."""
