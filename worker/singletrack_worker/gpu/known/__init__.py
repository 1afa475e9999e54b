"""What is remembered between operations."""
