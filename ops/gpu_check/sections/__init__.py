"""What is checked, a module for each section."""
