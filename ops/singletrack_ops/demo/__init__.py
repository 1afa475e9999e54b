"""`singletrack demo`: an agent's short day."""
