#!/usr/bin/env bash
# Runs the check on a GPU host without a network and without this project's dependencies, from the folder that
# prepare.sh made; what follows the folder goes to `python -m gpu_check`:
#   ops/gpu_check/run.sh [FOLDER] [--only ...]              by default .gpukit in the current folder
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=.gpukit
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
  folder=$1
  shift
fi
python=${PYTHON:-python3}
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
shopt -s nullglob
wheels=("$folder"/wheels/*.whl)
if [ ${#wheels[@]} -gt 0 ]; then
  "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --target "$site" "${wheels[@]}"
fi
# The release is read from the metadata that an installation would have.
release=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/pyproject.toml" | head -1)
mkdir -p "$site/singletrack-$release.dist-info" "$site/bin"
printf 'Metadata-Version: 2.1\nName: singletrack\nVersion: %s\n' "$release" \
  >"$site/singletrack-$release.dist-info/METADATA"
if [ -e "$folder/bin/redis-server" ]; then
  # Not from the folder itself: it may lie on a disk from which nothing can be started.
  cp "$folder/bin/redis-server" "$site/bin/"
  chmod +x "$site/bin/redis-server"
fi
export PATH="$site/bin:$PATH" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH="$site:$root/tasks:$root/producers:$root/worker:$root/ops${PYTHONPATH:+:$PYTHONPATH}"
"$python" -m gpu_check "$@"
