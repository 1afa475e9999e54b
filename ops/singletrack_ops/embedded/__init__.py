"""Servers and models that come along where a machine has none."""
