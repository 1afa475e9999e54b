"""What a request asks for: one handler for each."""
