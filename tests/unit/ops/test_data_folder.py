"""The folder of the stack."""

from pathlib import Path

import pytest

from singletrack_ops.demo.session import run_demo
from singletrack_ops.local.data_folder import make_folder
from singletrack_ops.up import run_up
from singletrack_tasks.errors import InvalidConfiguration


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidConfiguration, match=r"cannot use the folder .*: \w"):
        make_folder(tmp_path / "file" / "folder")
    with pytest.raises(InvalidConfiguration, match=r"cannot use the folder .*: \w"):
        make_folder(tmp_path / "file")


def test_up_and_demo_tell_of_a_folder_that_is_of_no_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for run in (run_up, run_demo):
        assert run(folder=tmp_path / "file" / "folder") == 2
        told = capsys.readouterr().out
        assert "cannot use the folder" in told
        assert "The logs are in" not in told
