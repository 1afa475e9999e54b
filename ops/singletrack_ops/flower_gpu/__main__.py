"""Tells where Flower's configuration is: `--conf=$(python -m singletrack_ops.flower_gpu)`."""

import sys

from singletrack_ops.flower_gpu.config_file import config_file

sys.stdout.write(f"{config_file()}\n")
