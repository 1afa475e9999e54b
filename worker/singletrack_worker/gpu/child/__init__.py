"""Child processes of the worker: called over pipes, with a limit for each call, and sure to end."""
