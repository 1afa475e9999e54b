"""`python -m singletrack`."""

from singletrack.cli import main

main()
