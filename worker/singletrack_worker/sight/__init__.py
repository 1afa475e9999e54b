"""What the worker shows of itself: metrics, figures for Flower, recordings in files."""
