"""Who serves a track: the host's lock, the lease of all hosts, the fencing token."""
