"""The way to Redis and back: settings, connections, limits, sending requests and waiting for results."""
