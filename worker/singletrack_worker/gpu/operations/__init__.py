"""The handlers of requests, one for each."""
