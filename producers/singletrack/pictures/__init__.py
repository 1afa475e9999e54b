"""Pictures of VRAM over time."""
