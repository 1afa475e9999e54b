"""The GPU side: observes, plans, moves and verifies; it knows nothing of Celery and Redis."""
