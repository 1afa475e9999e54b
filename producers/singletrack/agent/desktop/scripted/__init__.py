"""A desktop made of pictures."""

from singletrack.agent.desktop.scripted.desktop import ScriptedDesktop

__all__ = ["ScriptedDesktop"]
