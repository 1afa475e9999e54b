"""What is really there, and what is there although nobody here put it there."""
