"""One vector for the state of a screen, and the known states that are most like it."""
