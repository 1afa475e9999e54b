"""Lets the VLM choose among numbered marks, through a worker."""
