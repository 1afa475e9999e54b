"""How well targets are found: pages of several toolkits with their truth, variants of them, and a judge."""
