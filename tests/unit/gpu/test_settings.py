"""Settings come from the environment, are checked across fields, and keep secrets out of what is printed."""

import traceback

import pytest

from singletrack_tasks.errors import InvalidConfiguration
from singletrack_worker.settings import KEEP_ALIVE_MARGIN_S, GPUResourceConfig

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no setting of the machine that runs the tests count."""
    for field in GPUResourceConfig.model_fields:
        monkeypatch.delenv(f"SINGLETRACK_{field.upper()}", raising=False)
    monkeypatch.delenv("OLLAMA_HOST", raising=False)


def configured(monkeypatch: pytest.MonkeyPatch, **variables: str) -> GPUResourceConfig:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return GPUResourceConfig.from_environment()


def test_without_variables_the_defaults_hold() -> None:
    config = GPUResourceConfig.from_environment()
    assert (config.gpu, config.track, config.idle_timeout_s) == ("auto", "gpu0", 300.0)
    assert config.retry_attempts == 3


def test_every_setting_has_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configured(
        monkeypatch,
        SINGLETRACK_TRACK="lab-2",
        SINGLETRACK_GPU="simulated",
        SINGLETRACK_VLM_MODEL="llava:7b",
        SINGLETRACK_IDLE_TIMEOUT_S="60.5",
        SINGLETRACK_CLIP_MB="900",
    )
    assert (config.track, config.gpu, config.vlm_model) == ("lab-2", "simulated", "llava:7b")
    assert (config.idle_timeout_s, config.clip_mb) == (60.5, 900)
    assert config.keys.prefix == "singletrack:lab-2:"


def test_ollama_is_found_by_its_own_variable_and_ours_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configured(monkeypatch, OLLAMA_HOST="http://one:11434").ollama_url == "http://one:11434"
    both = configured(monkeypatch, SINGLETRACK_OLLAMA_URL="http://two:11434")
    assert both.ollama_url == "http://two:11434"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SINGLETRACK_TRACK", "Not A Track"),
        ("SINGLETRACK_GPU", "maybe"),
        ("SINGLETRACK_GPU_INDEX", "-1"),
        ("SINGLETRACK_GPU_INDEX", "the second"),
        ("SINGLETRACK_IDLE_TIMEOUT_S", "soon"),
        ("SINGLETRACK_IDLE_TIMEOUT_S", "-1"),
        ("SINGLETRACK_TICK_INTERVAL_S", "0"),
        ("SINGLETRACK_RETRY_ATTEMPTS", "4"),
        ("SINGLETRACK_REDIS_URL", "http://localhost"),
        ("SINGLETRACK_REDIS_URL", "redis://host:port"),
        ("SINGLETRACK_REDIS_URL", "redis://me:12/x@host:6379/0"),
        ("SINGLETRACK_OLLAMA_URL", "http://gpu-box:11434?x=1"),
        ("SINGLETRACK_OLLAMA_URL", "http//localhost:11434"),
        ("SINGLETRACK_CLIP_RESIZE_MODE", "crop"),
        ("SINGLETRACK_METRICS_PORT", "65536"),
    ],
)
def test_an_error_names_the_variable(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        configured(monkeypatch, **{variable: value})
    # A track's name is refused by `Keys`, in its own words.
    assert variable in refused.value.message or value in refused.value.message


def test_an_error_names_every_variable_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidConfiguration, match=r"SINGLETRACK_GPU: .*; SINGLETRACK_CLIP_MB: "):
        configured(monkeypatch, SINGLETRACK_GPU="maybe", SINGLETRACK_CLIP_MB="0")


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configured(monkeypatch, SINGLETRACK_VLM_MODEL="").vlm_model == "qwen2.5vl:7b"


def test_an_idle_vlm_must_not_be_noticed_late(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidConfiguration, match=r"tick_interval_s \(15\) is longer than idle_timeout_s \(10\)"):
        configured(monkeypatch, SINGLETRACK_IDLE_TIMEOUT_S="10")
    assert configured(monkeypatch, SINGLETRACK_TICK_INTERVAL_S="5").idle_timeout_s == 10
    assert configured(monkeypatch, SINGLETRACK_IDLE_TIMEOUT_S="0").idle_timeout_s == 0


@pytest.mark.parametrize("tenant", ["SINGLETRACK_SIMULATED_VLM_MB", "SINGLETRACK_SIMULATED_CLIP_MB"])
def test_a_simulated_tenant_fits_on_its_gpu(monkeypatch: pytest.MonkeyPatch, tenant: str) -> None:
    monkeypatch.setenv(tenant, "9000")
    assert configured(monkeypatch, SINGLETRACK_GPU="auto").gpu == "auto"
    with pytest.raises(InvalidConfiguration, match="larger than the GPU"):
        configured(monkeypatch, SINGLETRACK_GPU="simulated")


def test_the_model_outlives_the_idle_check_and_is_never_kept_for_ever() -> None:
    assert GPUResourceConfig(idle_timeout_s=300).keep_alive_s == 300 + KEEP_ALIVE_MARGIN_S
    assert 0 < GPUResourceConfig(idle_timeout_s=0).keep_alive_s <= 24 * 3600


def test_a_password_is_not_in_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configured(monkeypatch, SINGLETRACK_REDIS_URL=f"redis://:{SECRET}@host:6379/0")
    assert SECRET not in f"{config!r} {config} {config.model_dump_json()}"
    assert SECRET in config.redis_url.get_secret_value()


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{SECRET}@host",
        f"redis:/:{SECRET}@host",
        f"redis://me:1/{SECRET}@host:6379/0",
        f"redis://:{SECRET}\u2100@host",
        f"redis://:{SECRET}#@host",
        f"redis://{SECRET}@host:port",
    ],
)
def test_a_password_is_not_in_an_error(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        configured(monkeypatch, SINGLETRACK_REDIS_URL=url)
    assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_a_password_is_not_in_an_error_about_two_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        configured(monkeypatch, SINGLETRACK_REDIS_URL=f"redis://:{SECRET}@host:6379/0", SINGLETRACK_IDLE_TIMEOUT_S="10")
    assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        GPUResourceConfig().track = "other"  # type: ignore[misc]  # the assignment is what must fail
