"""The Singletrack contract: everything that may travel on a GPU's queue, and nothing else."""
