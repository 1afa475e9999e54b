"""How an encoder's work is divided: known to the worker, which limits its time, and to the child."""

# How many inputs the child embeds at once; the worker's time-out is for one batch.
BATCH = 32
