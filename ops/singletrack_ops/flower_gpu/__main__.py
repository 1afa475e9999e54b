"""Prints the path of Flower's configuration: `--conf="$(python -m singletrack_ops.flower_gpu)"`."""

import sys

from singletrack_ops.flower_gpu.config_file import config_file

sys.stdout.write(f"{config_file()}\n")
