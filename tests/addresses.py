"""Where nobody answers."""

# The discard service, which is not run any more: a connection is refused at once. Not in the range from which ports are
# handed out, so no server of another test is ever found there, as one may be at a port that was free a moment ago.
SILENT_PORT = 9
SILENT_REDIS = f"redis://127.0.0.1:{SILENT_PORT}/0"
SILENT_OLLAMA = f"http://127.0.0.1:{SILENT_PORT}"
