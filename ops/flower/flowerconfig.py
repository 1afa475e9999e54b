"""Flower beside a GPU worker: `celery -A singletrack_worker flower --conf=ops/flower/flowerconfig.py`.

It listens on loopback, read-only, and asks for a password if FLOWER_BASIC_AUTH=user:password or
FLOWER_BASIC_AUTH_FILE (one user:password per line) is set; on any other address a password is required.
FLOWER_ADDRESS, FLOWER_PORT, FLOWER_READ_ONLY=false and command-line options override this. Its API needs the password
too; without one it is closed, unless FLOWER_UNAUTHENTICATED_API is set.
"""

from singletrack_ops.flower_gpu.access import access_or_exit
from singletrack_ops.flower_gpu.plugin import add_gpu_page

# Tornado reads the options from these names.
_access = access_or_exit()
address = _access.address
basic_auth = _access.basic_auth
read_only = _access.read_only

add_gpu_page()
