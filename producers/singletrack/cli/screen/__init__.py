"""A track's state on a terminal: lines, a table, a chart, the full screen."""
