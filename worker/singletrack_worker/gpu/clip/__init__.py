"""CLIP in encoder processes."""
