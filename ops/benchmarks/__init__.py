"""The figures in the documentation, each measured by one module against real servers on this machine."""
