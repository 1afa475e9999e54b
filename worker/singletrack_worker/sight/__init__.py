"""What the worker shows: metrics, Flower's figures, recordings in files."""
