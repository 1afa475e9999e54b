"""A screenshot that has been looked at: its labels, and its maps for comparing."""

from singletrack.agent.seen.screen import SeenScreen

__all__ = ["SeenScreen"]
