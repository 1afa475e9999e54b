"""The figures of `ops/docs/figures.md`, each measured by one module against real servers on this machine."""
