"""`python -m gpu_check`: exit status 0 if all passed, 1 if something failed, 2 without a usable GPU."""

import sys

from gpu_check import runner
from gpu_check.options import Options
from gpu_check.preflight import NoUsableGpu
from gpu_check.sections.catalogue import SECTIONS
from singletrack_ops.errors import OpsError

FAILED, NO_GPU = 1, 2


def main() -> int:
    """Check this machine's GPU."""
    options = Options.parse(list(SECTIONS))
    try:
        return 0 if runner.run(options) else FAILED
    except NoUsableGpu as error:
        sys.stderr.write(f"gpu_check: {error.message}\n")
        return NO_GPU
    except OpsError as error:
        sys.stderr.write(f"gpu_check: {error.message}\n")
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
