"""`ExecutionLoop`: runs workflows, and records them."""
