"""A Redis that speaks TLS, and certificates for it, good and bad, made by `openssl`."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from singletrack_ops.embedded.redis_server import EmbeddedRedis, find_redis_binary
from singletrack_ops.errors import OpsError
from singletrack_ops.local.child_process import Child, wait_until_ready
from singletrack_ops.local.loopback import LOOPBACK, free_port

PASSWORD = "hunter2"
_CONFIGURATION = """
[ca]
default_ca = ours
[ours]
database = {folder}/index
serial = {folder}/serial
new_certs_dir = {folder}
unique_subject = no
default_md = sha256
policy = any
copy_extensions = copy
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = CA:false
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
# From Python 3.13 on, an authority has to say what its key is for.
_FOR_SIGNING = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, PEM files."""

    cert_file: Path
    key_file: Path


class Authority:
    """Signs certificates."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        (folder / "index").touch()
        (folder / "serial").write_text("01\n")
        (folder / "conf").write_text(_CONFIGURATION.format(folder=folder))
        self.own = Certificate(folder / "ca.pem", folder / "ca.key")
        _openssl(
            "req", "-x509", *_new_key(self.own), "-out", self.own.cert_file, "-subj", "/CN=authority", *_FOR_SIGNING
        )

    def sign(self, names: str = f"IP:{LOOPBACK},DNS:localhost", years: tuple[int, int] = (2020, 2120)) -> Certificate:
        """Make a certificate for names, valid from the beginning of one year to that of another."""
        stem = f"{len(list(self.folder.iterdir()))}"
        made = Certificate(self.folder / f"{stem}.crt", self.folder / f"{stem}.key")
        request = self.folder / f"{stem}.csr"
        subject = ("-subj", "/CN=server", "-addext", f"subjectAltName={names}")
        _openssl("req", *_new_key(made), "-out", request, *subject)
        dates = ("-startdate", f"{years[0]}0101000000Z", "-enddate", f"{years[1]}0101000000Z")
        issuer = ("-cert", self.own.cert_file, "-keyfile", self.own.key_file)
        _openssl(
            "ca", "-batch", "-config", self.folder / "conf", *issuer, *dates, "-in", request, "-out", made.cert_file
        )
        return made


def require_openssl() -> None:
    """Skip the test where there is no `openssl` to make certificates with."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make certificates with")


@contextmanager
def tls_redis(
    folder: Path, authority: Authority, certificate: Certificate, *, asks_for_certificates: bool = False
) -> Iterator[str]:
    """Run a server that is reached over TLS alone; yields its address.

    A Redis that was built without TLS is put behind a terminator, as it would be in earnest.
    """
    folder.mkdir(parents=True)
    served = _served(folder, authority, certificate, asks_for_certificates)
    with served or _terminated(folder, authority, certificate, asks_for_certificates) as url:
        yield url


def _served(
    folder: Path, authority: Authority, certificate: Certificate, asks: bool
) -> AbstractContextManager[str] | None:
    """A Redis that speaks TLS itself, None where it cannot."""
    port = free_port()
    configuration, log = folder / "redis.conf", folder / "redis.log"
    lines = {
        "bind": LOOPBACK,
        "port": 0,
        "tls-port": port,
        "tls-cert-file": certificate.cert_file,
        "tls-key-file": certificate.key_file,
        "tls-ca-cert-file": authority.own.cert_file,
        "tls-auth-clients": "yes" if asks else "no",
        "requirepass": PASSWORD,
        "dir": folder,
        "save": '""',
    }
    configuration.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
    server = Child.start("redis", [find_redis_binary().path, configuration], cwd=folder, log_path=log)
    try:
        wait_until_ready(server, lambda: "Ready to accept connections" in log.read_text(), 60)
    except OpsError:
        server.stop()
        assert "TLS" in log.read_text() or "tls-port" in log.read_text(), log.read_text()
        return None
    return _until_left(server, f"rediss://:{PASSWORD}@{LOOPBACK}:{port}/0")


@contextmanager
def _until_left(server: Child, url: str) -> Iterator[str]:
    try:
        yield url
    finally:
        server.stop()


@contextmanager
def _terminated(folder: Path, authority: Authority, certificate: Certificate, asks: bool) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    if asks:
        context.load_verify_locations(authority.own.cert_file)
        context.verify_mode = ssl.CERT_REQUIRED
    with EmbeddedRedis.start(folder / "plain") as server, ThreadPoolExecutor(1) as pool:
        plain = urlsplit(server.url)
        terminator = _Terminator(context, plain.port or 0)
        running = pool.submit(asyncio.run, terminator.serve())
        port = terminator.port.result(60)
        try:
            yield f"rediss://:{plain.password}@{LOOPBACK}:{port}/0"
        finally:
            terminator.stop()
            running.result(60)


class _Terminator:
    """Takes TLS off connections, and passes what is in them on."""

    def __init__(self, context: ssl.SSLContext, plain_port: int) -> None:
        self._context = context
        self._plain_port = plain_port
        self.port: Future[int] = Future()

    async def serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._pass_on, LOOPBACK, 0, ssl=self._context)
        self.port.set_result(server.sockets[0].getsockname()[1])
        await self._over.wait()
        server.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        plain_reader, plain_writer = await asyncio.open_connection(LOOPBACK, self._plain_port)
        await asyncio.gather(_copy(reader, plain_writer), _copy(plain_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def peer(url: str, authority: Authority) -> redis.Redis:
    """Look at the server behind everybody's back."""
    return redis.Redis.from_url(url, ssl_ca_certs=str(authority.own.cert_file))


def _new_key(certificate: Certificate) -> tuple[str | Path, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", certificate.key_file)


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
