"""Where the queue is: from the arguments, else the environment, else the defaults."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from singletrack_tasks.errors import InvalidConfiguration
from singletrack_tasks.keys import Keys
from singletrack_tasks.redis_address import (
    CA_FILE_HELP,
    CERT_FILE_HELP,
    KEY_FILE_HELP,
    check_address,
    check_file,
    with_tls,
)

_PREFIX = "SINGLETRACK_"


class ClientSettings(BaseSettings):
    """The Redis server and the track of a client: `SINGLETRACK_REDIS_URL` and `SINGLETRACK_TRACK`."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        repr=False,
        description="The Redis server, for example `redis://:PASSWORD@HOST:6379/0`; `rediss://` for TLS. Special "
        "characters of the password are percent-encoded: `@` as `%40`.",
    )
    track: str = Field(default="gpu0", description="The track to talk to: one GPU, one queue, one worker.")
    redis_ca_file: Path | None = Field(default=None, description=CA_FILE_HELP)
    redis_cert_file: Path | None = Field(default=None, description=CERT_FILE_HELP)
    redis_key_file: Path | None = Field(default=None, description=KEY_FILE_HELP)

    @property
    def redis_address(self) -> str:
        """The URL with everything that TLS needs."""
        files = {"ca_file": self.redis_ca_file, "cert_file": self.redis_cert_file, "key_file": self.redis_key_file}
        return with_tls(self.redis_url, **files)

    @field_validator("redis_url")
    @classmethod
    def _is_a_redis_url(cls, url: str) -> str:
        return check_address(url)

    @field_validator("redis_ca_file", "redis_cert_file", "redis_key_file")
    @classmethod
    def _is_there(cls, file: Path | None) -> Path | None:
        return check_file(file)

    @field_validator("track")
    @classmethod
    def _is_a_track(cls, track: str) -> str:
        return Keys(track).track


def load_settings(redis_url: str | None = None, track: str | None = None) -> ClientSettings:
    """Take the arguments, and the rest from the environment.

    Raises `InvalidConfiguration`, which names the variable and does not show the password.
    """
    given = {name: value for name, value in (("redis_url", redis_url), ("track", track)) if value is not None}
    try:
        return ClientSettings(**given)  # type: ignore[arg-type] # pydantic refuses anything but text
    except ValidationError as error:
        problems = (
            f"{_name(str(problem['loc'][0]))}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise InvalidConfiguration("; ".join(problems)) from None  # the cause would show the password


def _name(field: str) -> str:
    """Name a setting, in both ways if it can be given on the command line."""
    option = f" (or --{field.replace('_', '-')})" if field in {"redis_url", "track"} else ""
    return f"{_PREFIX}{field.upper()}{option}"


def address(url: str) -> str:
    """Return the host, port and database of a checked Redis URL."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}/{parts.path.strip('/') or 0}"
