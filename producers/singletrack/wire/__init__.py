"""What goes over the wire: sending, connections, limits."""
