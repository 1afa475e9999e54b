"""Runs the whole stack on one machine: `singletrack up`, `singletrack demo`, and the GPU page in Flower."""
