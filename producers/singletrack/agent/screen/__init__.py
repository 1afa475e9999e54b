"""Screenshots, and the ports to a screen and to its mouse and keyboard."""
