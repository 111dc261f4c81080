"""A backup that is put back after the world outside has seen more is refused: by the witness, and by the signer."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from audit import merkle, witness_policy
from audit.services import keys, sequence_until_empty, signing
from audit.services.publishing import publish
from audit.services.segments import detach, seal
from audit.services.witnessing import Witnesses
from tests.audit.builders import JOB, NOON, complete, event, record
from tests.audit.test_backup import empty_database, parts, put_back  # noqa: F401
from tests.audit.test_segments import tomorrow

pytestmark = [pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"]), pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def program(*arguments: str):
    """One of our programs outside the house, and what it said first."""
    process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture
def witnessed(tmp_path):
    """A witness as a program, over HTTP, and the policy file that names it."""
    where = ["--db", str(tmp_path / "w.sqlite3"), "--key", str(tmp_path / "w.key"), "--listen", "127.0.0.1:0"]
    with program("audit.witness", "--name", "witness.invalid/w", "--log", str(signing.first_key()), *where) as running:
        _, _, vkey, url = running.stdout.readline().split()
        path = tmp_path / "policy"
        path.write_text(f"log {signing.first_key()}\nwitness w {vkey} {url}\nquorum w\n", encoding="utf-8")
        yield path


@pytest.fixture
def signer(tmp_path):
    """The signer as a program of its own, with the log's key and a memory; the address of its socket."""
    folder, address = tmp_path / "signer", tmp_path / "s.sock"
    folder.mkdir(mode=0o700)
    for path in (keys.keys_dir() / "signer").iterdir():
        if path.is_file() and "memory" not in path.name:
            shutil.copy2(path, folder / path.name)
    empty = {"origin": keys.origin(), "size": 0, "root": base64.b64encode(merkle.EMPTY_ROOT).decode()}
    (folder / "memory.json").write_text(json.dumps(empty), encoding="utf-8")
    where = ["--folder", str(folder), "--socket", str(address), "--origin", keys.origin()]
    with program("audit.signer", *where):
        ours = signing.SocketSigner(address)
        for _ in range(400):
            if ours.answers():
                break
            subprocess.run(["sleep", "0.05"], check=True)
        yield ours


def test_a_backup_older_than_what_a_witness_has_seen_is_refused_with_both_sizes(
    witnessed,
    signer,
    parts,  # noqa: F811
    empty_database,  # noqa: F811
    database_urls,
    tmp_path,
):
    asked = Witnesses.of(witness_policy.parse(witnessed.read_bytes()))
    grow(5)
    assert publish(signer=signer, witnesses=asked).cosigned == ("w",)
    call_command("backup", str(parts.record), str(parts.keys), verbosity=0)
    grow(3)
    seen = publish(signer=signer, witnesses=asked)
    assert (seen.size, seen.cosigned) == (9, ("w",))  # with the entry of the backup itself
    done = put_back(parts, empty_database, tmp_path / "home", database_urls, AUDIT_WITNESS_POLICY=str(witnessed))
    assert done.returncode == 1
    assert "Restored and verified, but refused" in done.stderr
    assert "has seen 9 entries; only 5 are here" in done.stderr
    assert "The log is shorter than witnessed" in done.stderr
    # With no witness asked the signer still remembers, and signs nothing over the older copy.
    there = environment(database_urls, empty_database, tmp_path / "home")
    there |= {"AUDIT_SIGNER_SOCKET": str(tmp_path / "s.sock"), "AUDIT_WITNESS_POLICY": ""}
    append_there(there)
    numbered = run("run_sequencer", there)
    assert numbered.returncode == 0, numbered.stderr
    published = run("run_publisher", there)
    assert published.returncode == 1
    # The five; the hold and the name that the sequencer gives to a log without one, as soon as no older transaction
    # of a neighbour in this cluster holds their numbering up.
    assert re.search(r"SignerAhead: the signer has signed 9 entries, [567] are here", published.stderr)


def grow(count: int) -> None:
    record(*[event(f"loop-{os.urandom(6).hex()}") for _ in range(count)])
    sequence_until_empty()


def environment(urls: dict[str, str], name: str, home: Path) -> dict[str, str]:
    """What a program on the restored machine sees."""
    old = urls["DATABASE_URL"].rpartition("/")[2].partition("?")[0]
    there = {k: url.replace(f"/{old}", f"/{name}") if k.startswith("DATABASE") else url for k, url in urls.items()}
    return os.environ | there | {"CLINAIOPS_HOME": str(home), "CLINAIOPS_PG_BIN": settings.POSTGRES_BIN}


def run(command: str, there: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", command, "--once"], env=there, capture_output=True, text=True, timeout=200
    )


def append_there(there: dict[str, str]) -> None:
    """Somebody works on with the older copy: one entry more."""
    hold = "legal_hold", "place", "h-1", "--everything", "--basis", "court-1", "--approver", "dr-noor"
    done = subprocess.run([sys.executable, "manage.py", *hold], env=there, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr


def test_a_backup_made_after_detaching_is_put_back_and_verifies(
    parts,  # noqa: F811
    empty_database,  # noqa: F811
    database_urls,
    tmp_path,
):
    record(*[event(f"loop-{n}") for n in range(260)])
    complete()
    archives = tmp_path / "archives"
    seal(until=tomorrow(), out=archives, by=JOB, now=NOON)
    complete()
    detach(1, archives=archives, by=JOB, now=NOON, using="owner")
    complete()
    call_command("backup", str(parts.record), str(parts.keys), verbosity=0)
    done = put_back(parts, empty_database, tmp_path / "home", database_urls)
    assert done.returncode == 0, done.stderr
    there = environment(database_urls, empty_database, tmp_path / "home")
    command = [sys.executable, "manage.py", "verify_audit", "--archives", str(archives)]
    verified = subprocess.run(command, env=there, capture_output=True, text=True, timeout=200)
    assert verified.returncode == 0, verified.stdout + verified.stderr
