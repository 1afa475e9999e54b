"""The contract of Singletrack: everything that may travel on the queue of a GPU, and nothing else."""
