"""Where a target is on a screen, or why that cannot be told."""

from singletrack.agent.resolver.resolver import Resolver

__all__ = ["Resolver"]
