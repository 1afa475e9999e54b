"""Flower beside a GPU worker: `celery -A singletrack_worker flower --conf=ops/flower/flowerconfig.py`.

It listens on loopback, read-only, and asks for a password where FLOWER_BASIC_AUTH=user:password or
FLOWER_BASIC_AUTH_FILE (one user:password a line) is set; on any other address it must. FLOWER_ADDRESS, FLOWER_PORT
and FLOWER_READ_ONLY=false override this, options of the command line too. Its API wants the password as well; without
one it is closed, unless FLOWER_UNAUTHENTICATED_API is set.
"""

from singletrack_ops.flower_gpu.access import access_or_exit
from singletrack_ops.flower_gpu.installation import add_gpu_page

# Tornado takes the options from the names in this file.
_access = access_or_exit()
address = _access.address
basic_auth = _access.basic_auth
read_only = _access.read_only

add_gpu_page()
