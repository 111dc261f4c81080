"""Set-up: `.venv` with exactly what requirements.lock says, and a stamp that makes the next call instant.

The rules
 * The standard library only; this runs before anything is installed.
 * What is installed is what the lock's hashes say, whoever serves it: `--no-deps --require-hashes`.
 * uv installs, because it is ten times faster; where uv cannot, pip does the same with the same lock.
 * pip's configuration (mirrors, wheel folders, certificates, proxies) is passed on to uv, which does not read it.
   What the environment already tells uv stands.
 * A set-up that was interrupted leaves no stamp, and the next call goes on.
"""

import ast
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
UV = "uv>=0.8,<1"
# pip's name of a setting, uv's variable for it, and what stands between several values there.
PASSED_ON = (
    ("index-url", "UV_DEFAULT_INDEX", " "),
    ("extra-index-url", "UV_INDEX", " "),
    ("find-links", "UV_FIND_LINKS", ","),
    ("trusted-host", "UV_INSECURE_HOST", " "),
    ("no-index", "UV_NO_INDEX", " "),
    ("cert", "SSL_CERT_FILE", " "),
    ("proxy", "ALL_PROXY", " "),
    ("timeout", "UV_HTTP_TIMEOUT", " "),
)
SAME_TO_UV = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}


def stamp_of(lock: bytes, python: tuple[int, int]) -> str:
    """What must be unchanged for the environment to be up to date."""
    return hashlib.sha256(lock + repr(python).encode() + Path(__file__).read_bytes()).hexdigest()


def read_pip_config(listed: str) -> dict[str, str]:
    """Read `pip config list`: `global` gives way to `install`, and both to the environment, as in pip itself."""
    ranks = {"global": 0, "install": 1, ":env:": 2}
    found: dict[str, tuple[int, str]] = {}
    for line in listed.splitlines():
        name, equals, value = line.partition("=")
        section, _, key = name.strip().rpartition(".")
        if not equals or section not in ranks:
            continue
        try:
            text = str(ast.literal_eval(value.strip()))
        except (SyntaxError, ValueError):
            text = value.strip()
        if key not in found or ranks[section] >= found[key][0]:
            found[key] = (ranks[section], text)
    return {key: text for key, (_, text) in found.items()}


def for_uv(pip: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that tell uv what pip was told. Folders that are not there are dropped, as pip drops them."""
    told = {}
    for key, variable, between in PASSED_ON:
        if variable in environment or SAME_TO_UV.get(variable) in environment:
            continue
        values = [value for value in pip.get(key, "").split() if not _missing_folder(value)]
        if values:
            told[variable] = between.join(values)
    if "UV_INDEX" in told or "UV_FIND_LINKS" in told:
        # pip takes all its sources as equal; the hashes of the lock make that safe.
        told.setdefault("UV_INDEX_STRATEGY", environment.get("UV_INDEX_STRATEGY", "unsafe-best-match"))
    return told


def _missing_folder(value: str) -> bool:
    if value.startswith("file://"):
        return not Path(value.removeprefix("file://")).exists()
    return value.startswith(("/", "./", "../", "~")) and not Path(value).expanduser().exists()


def main(target: Path) -> int:
    """Bring `target` up to date with the lock; exit 0 when it is."""
    python = target / "bin" / "python"
    stamp = target / "clinaiops.stamp"
    wanted = stamp_of(LOCK.read_bytes(), sys.version_info[:2])
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted and _works(python):
        return 0
    stamp.unlink(missing_ok=True)
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"}}
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    if not _works(python):
        print(f"Making {target} with Python {sys.version.split()[0]} ...", flush=True)
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(target)], check=True, env=environment)
    print("Installing what requirements.lock names ...", flush=True)
    if not _install(python, environment):
        print("Set-up failed: the packages of requirements.lock could not be installed; see above.", file=sys.stderr)
        return 1
    stamp.write_text(wanted, encoding="utf-8")
    print("Set-up is complete.", flush=True)
    return 0


def _works(python: Path) -> bool:
    probe = f"import sys, pip; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    try:
        return subprocess.run([str(python), "-c", probe], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _install(python: Path, environment: dict[str, str]) -> bool:
    pip = [str(python), "-m", "pip"]
    from_lock = ["install", "--no-deps", "--require-hashes", "-r", str(LOCK)]
    got_uv = subprocess.run([*pip, "install", "--quiet", UV], env=environment, check=False).returncode == 0
    if got_uv:
        listed = subprocess.run([*pip, "config", "list"], env=environment, capture_output=True, text=True, check=False)
        told = environment | for_uv(read_pip_config(listed.stdout), environment)
        uv = [str(python.parent / "uv"), "pip", *from_lock, "--python", str(python), "--compile-bytecode", "--quiet"]
        if subprocess.run(uv, env=told, check=False).returncode == 0:
            return True
        print("uv could not; trying the same lock with pip (slower) ...", flush=True)
    return subprocess.run([*pip, *from_lock, "--quiet"], env=environment, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(ROOT / ".venv"))
