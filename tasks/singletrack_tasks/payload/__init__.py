"""What is too large for a message: images, vectors."""
