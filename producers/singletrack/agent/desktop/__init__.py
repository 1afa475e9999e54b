"""Desktops to look at and to act on: the real one (extra `desktop`)."""
