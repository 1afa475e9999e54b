"""What can be asked for: one family of requests and their results in each module."""
