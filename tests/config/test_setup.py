"""Set-up: the lock is whole, pip's configuration reaches uv, and what is up to date is left alone."""

import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
spec = importlib.util.spec_from_file_location("clinaiops_setup", ROOT / "deploy" / "setup.py")
setup = importlib.util.module_from_spec(spec)
spec.loader.exec_module(setup)


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    """Each package of the lock with its block of text."""
    blocks = re.split(r"^(?=\S)", LOCK, flags=re.MULTILINE)
    return {plain(re.match(r"[A-Za-z0-9._-]+", block).group()): block for block in blocks if block.strip()}


def test_every_requirement_is_in_the_lock():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    names = {plain(re.match(r"[A-Za-z0-9._-]+", requirement).group()) for requirement in wanted}
    assert len(names) > 20
    assert names <= locked().keys()


def test_every_package_of_the_lock_has_one_version_and_hashes():
    for name, block in locked().items():
        assert re.match(r"[A-Za-z0-9._-]+==\S+", block), name
        assert "--hash=sha256:" in block, name


def test_the_lock_names_no_host_and_no_path():
    assert not re.search(r"://|file:|--index|--find-links|--extra|@ ", LOCK)


def test_pip_configuration_is_read_as_pip_reads_it():
    listed = (
        ":env:.index-url='https://env.example/simple'\n"
        "global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'\n"
        "global.index-url='https://global.example/simple'\n"
        "install.find-links='/wheels'\n"
        "wheel.find-links='/not-this'\n"
    )
    assert setup.read_pip_config(listed) == {
        "index-url": "https://env.example/simple",
        "extra-index-url": "https://a.example/simple\nhttps://b.example/simple",
        "find-links": "/wheels",
    }


def test_uv_is_told_what_pip_was_told(tmp_path):
    pip = {
        "index-url": "https://mirror.example/simple",
        "extra-index-url": "https://a.example/simple\nhttps://b.example/simple",
        "find-links": f"{tmp_path} /no/such/folder",
        "cert": "/etc/hosts",
    }
    assert setup.for_uv(pip, {}) == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_FIND_LINKS": str(tmp_path),
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "SSL_CERT_FILE": "/etc/hosts",
    }


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_what_the_environment_tells_uv_stands(variable):
    assert setup.for_uv({"index-url": "https://mirror.example/simple"}, {variable: "https://own.example/simple"}) == {}


def test_the_stamp_changes_with_the_lock_and_with_python():
    stamps = {setup.stamp_of(b"a", (3, 11)), setup.stamp_of(b"b", (3, 11)), setup.stamp_of(b"a", (3, 12))}
    assert len(stamps) == 3


def test_without_a_fitting_python_one_sentence_says_so(tmp_path):
    (tmp_path / "deploy").mkdir()
    script = tmp_path / "deploy" / "setup.sh"
    script.write_text((ROOT / "deploy" / "setup.sh").read_text(encoding="utf-8"), encoding="utf-8")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("dirname", "sh"):
        (tools / tool).symlink_to(f"/usr/bin/{tool}")
    told = subprocess.run(["/bin/sh", script], env={"PATH": str(tools)}, capture_output=True, text=True)
    assert told.returncode == 1
    assert told.stderr.count("\n") == 1
    assert "Python 3.11, 3.12 or 3.13" in told.stderr
