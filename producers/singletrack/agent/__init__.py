"""The agent's side: targets found by sight, clicks that are sure of their target, workflows run and recorded.

Needs the extra `agent`, and `desktop` for a real screen. The names below are imported on first use.
"""
