"""The track that these tests use, and the token of the worker that has it."""

from singletrack_tasks.keys import Keys

KEYS = Keys("unit")
TOKEN = 7
