"""The memory of a track between operations."""
