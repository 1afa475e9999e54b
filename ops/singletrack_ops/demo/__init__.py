"""`singletrack demo`: an agent's short day on a stack of its own, with every promise checked."""
