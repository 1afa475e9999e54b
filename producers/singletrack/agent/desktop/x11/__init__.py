"""A desktop of X11, by python-xlib."""
