"""The figures that the README names, each measured by one module against real servers on this machine."""
