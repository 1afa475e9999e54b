"""Bulk data: images and vectors."""
