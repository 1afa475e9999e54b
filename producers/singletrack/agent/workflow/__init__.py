"""Workflows: what they are made of, and how they are read and written."""
