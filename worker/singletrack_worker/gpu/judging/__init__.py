"""Answers and their schemas, in a process of their own: a schema may be costly, and can be ended there."""
