"""What is looked for on a screen, and what came of it: data alone."""
