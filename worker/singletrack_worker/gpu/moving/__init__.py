"""From a demand to receipts: plans steps, executes them, verifies them."""
