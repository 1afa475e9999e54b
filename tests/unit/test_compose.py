"""What the compose file promises: watched, restarted, one GPU, and nothing open beyond this machine."""

import os
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from singletrack_worker.tenure import host_lock

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CONFIGURED_IN_ENV = {
    "SINGLETRACK_REDIS_URL",
    "SINGLETRACK_OLLAMA_URL",
    "SINGLETRACK_TRACK",
    "SINGLETRACK_VLM_MODEL",
    "SINGLETRACK_CLIP_WEIGHTS",
    "SINGLETRACK_IDLE_TIMEOUT_S",
    "FLOWER_BASIC_AUTH",
    "GRAFANA_ADMIN_PASSWORD",
}
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?P<default>:?-)?")

each_service = pytest.mark.parametrize("name", sorted(SERVICES))
# They do one thing at the start, and have ended when the others begin.
BEFORE_THE_OTHERS = {"locks"}
each_lasting_service = pytest.mark.parametrize("name", sorted(SERVICES.keys() - BEFORE_THE_OTHERS))
LOCK_DIR = "/var/lib/singletrack-lock"
SOMEBODY, SOMEBODY_ELSE = 10001, 10002


def names_in_env_example() -> set[str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return {line.partition("=")[0].strip() for line in lines if "=" in line and not line.startswith("#")}


def gpus_of(service: str) -> list[Any]:
    devices: list[Any] = SERVICES[service]["deploy"]["resources"]["reservations"]["devices"]
    return devices


def test_the_services_are_the_seven_of_the_design() -> None:
    assert set(SERVICES) >= {"redis", "ollama", "worker", "beat", "flower", "prometheus", "grafana"}


@each_lasting_service
def test_every_service_is_watched_and_restarted(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"]
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True


@each_service
def test_ports_are_published_on_the_loopback_interface_only(name: str) -> None:
    service = SERVICES[name]
    assert service.get("network_mode", "none") == "none"
    for port in service.get("ports", []):
        assert isinstance(port, str), "write ports as 'address:host:container'"
        assert port.startswith("127.0.0.1:"), port


@each_service
def test_images_are_pinned(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].partition(":")
    assert tag
    assert "latest" not in tag


@each_service
def test_a_service_waits_until_what_it_needs_is_healthy(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        assert needed in SERVICES
        condition = "service_completed_successfully" if needed in BEFORE_THE_OTHERS else "service_healthy"
        assert how == {"condition": condition}


@each_service
def test_no_container_sees_the_processes_of_the_host(name: str) -> None:
    assert "pid" not in SERVICES[name]
    assert "privileged" not in SERVICES[name]


def test_worker_and_ollama_are_given_the_same_gpu() -> None:
    assert gpus_of("worker") == gpus_of("ollama")
    assert gpus_of("worker")[0]["driver"] == "nvidia"


def test_prometheus_finds_the_worker_and_nobody_else_does() -> None:
    scraped = yaml.safe_load((ROOT / "ops/prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    worker = SERVICES["worker"]["environment"]
    assert [job["static_configs"][0]["targets"] for job in scraped] == [
        [f"worker:{worker['SINGLETRACK_METRICS_PORT']}"]
    ]
    assert worker["SINGLETRACK_METRICS_HOST"] == "0.0.0.0"
    assert "ports" not in SERVICES["worker"]


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_what_is_provisioned_is_there_and_cannot_be_written(name: str) -> None:
    mounts = [mount for mount in SERVICES[name]["volumes"] if mount.startswith(".")]
    assert mounts
    for mount in mounts:
        source, _, how = mount.split(":")
        assert (ROOT / source).is_dir()
        assert how == "ro"


def test_redis_keeps_what_it_was_given() -> None:
    settings = dict(line.split(" ", 1) for line in COMPOSE["configs"]["redis"]["content"].splitlines())
    assert settings["appendonly"] == "yes"
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["requirepass"].startswith("${REDIS_PASSWORD:?")


def test_every_variable_without_a_default_is_in_the_example() -> None:
    needed = {match["name"] for match in VARIABLE.finditer(TEXT) if match["default"] is None}
    assert needed
    assert needed <= names_in_env_example()


def test_the_example_shows_what_a_user_has_to_decide() -> None:
    assert names_in_env_example() >= CONFIGURED_IN_ENV


@pytest.mark.parametrize("name", ["worker", "beat", "flower"])
def test_our_services_read_the_one_env_file_but_use_the_addresses_of_the_network(name: str) -> None:
    service = SERVICES[name]
    assert service["env_file"] == ".env"
    assert service["environment"]["SINGLETRACK_REDIS_URL"].endswith("@redis:6379/0")
    assert service["environment"]["SINGLETRACK_OLLAMA_URL"] == "http://ollama:11434"
    assert service["command"].replace("celery --quiet", "celery").startswith(f"celery -A singletrack_worker {name} ")


@pytest.mark.parametrize("name", ["worker", "beat", "flower"])
def test_our_services_are_told_no_password_that_is_not_theirs(name: str) -> None:
    told = SERVICES[name]["environment"]
    assert told["GRAFANA_ADMIN_PASSWORD"] == ""
    assert bool(told["FLOWER_BASIC_AUTH"]) is (name == "flower")


def test_the_worker_locks_in_a_folder_of_the_host_that_is_made_before() -> None:
    """The one that a worker outside the containers uses by default, if `.env` names no other for both."""
    worker, locks = SERVICES["worker"], SERVICES["locks"]
    (mount,) = locks["volumes"]
    assert mount in worker["volumes"]
    # Relabelled where SELinux would keep the container out.
    assert mount == f"${{SINGLETRACK_LOCK_DIR:-{LOCK_DIR}}}:{LOCK_DIR}:z"
    assert worker["environment"]["SINGLETRACK_LOCK_DIR"] == LOCK_DIR
    assert Path(LOCK_DIR) == host_lock._SHARED_FOLDER
    assert "locks" in worker["depends_on"]
    assert locks["restart"] == "no"
    assert (locks["user"], locks["cap_drop"], locks["network_mode"]) == ("0:0", ["ALL"], "none")
    assert not locks["env_file"]
    assert not locks["environment"]


TAKE = """
import fcntl, os, sys  # before the folder of the interpreter may be out of reach
from pathlib import Path
from singletrack_worker.tenure.host_lock import HostLock
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
lock = HostLock(Path(sys.argv[1]) / "gpu.lock")
print("taken" if lock.take() is None else "held", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become two other users")
def test_workers_of_all_users_lock_each_other_out_in_the_folder_as_it_is_made() -> None:
    """As plain processes: root makes the folder as Docker would, then the command of the compose file is run on it."""
    command = SERVICES["locks"]["command"]
    assert command.endswith(f" {LOCK_DIR}")
    with tempfile.TemporaryDirectory() as outer, ExitStack() as processes:
        Path(outer).chmod(0o755)
        folder = Path(outer) / "lock"
        folder.mkdir(mode=0o755)
        subprocess.run([*command.split()[:-1], folder], check=True)

        def worker_of(user: int) -> str:
            child = processes.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", TAKE, str(folder), str(user)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            assert child.stdout is not None
            return child.stdout.readline().strip()

        assert [worker_of(SOMEBODY), worker_of(SOMEBODY_ELSE), worker_of(0)] == ["taken", "held", "held"]


def test_named_volumes_are_declared() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    named = {mount.partition(":")[0] for mount in mounts if not mount.startswith((".", "/", "$"))}
    assert named == set(COMPOSE["volumes"])
