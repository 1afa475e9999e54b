"""Reading from Redis, without waiting for the GPU: status, progress, events, recordings, dead letters."""
