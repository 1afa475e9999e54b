"""From a demand to receipts: plan the steps, make them, verify them."""
