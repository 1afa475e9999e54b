"""What counts as a failure."""

# Memory that still comes back after a receipt says that it is free (MiB).
LATE_MB = 100
# Memory that never comes back (MiB).
LOST_MB = 50
# The largest 1 - cosine between the embeddings of one input on the CPU and on the GPU.
DISTANCE = 1e-4
# By how much the figures of a refusal may differ from the driver's (MiB).
FIGURES_MB = 50
# The least part of stock open_clip's throughput, at a batch of BATCH images.
THROUGHPUT_PART = 2 / 3
BATCH = 32
# CLIP is back on the GPU by this tick after a failure.
TICKS = 2
# What the driver's figures may differ by from the sum of what each tenant took alone (MiB).
SUM_MB = 150
# The least memory that has to be free for a check to say anything (MiB).
LEAST_FREE_MB = 5120


def is_fast_enough(ours_ms: float, stock_ms: float) -> bool:
    """Whether a batch that takes `ours_ms` is fast enough where stock open_clip takes `stock_ms`."""
    return ours_ms * THROUGHPUT_PART <= stock_ms
