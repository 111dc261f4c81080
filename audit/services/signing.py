"""How the rest of the house reaches the signer: one line out, one line back, over its private socket.

The rules (SECURITY 3.2)
 * No key of the log is read here. The signer is asked; it remembers what it signed and refuses what does not continue.
 * The first public key it ever named is written down (`log.vkey`, beside the other keys) and trusted from then on; the
   keys after it are trusted because the log and both signatures name them.
 * Where the signer is ours to run (no AUDIT_SIGNER_SOCKET given) and does not run, it is started for the time of the
   work, so that every command works alone. It ends with that work: asked first, killed when it does not, and by
   itself when we are killed. It holds nothing that our own caller waits for the end of.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from audit import notes
from audit.services import keys

ANSWER_S = 10.0
START_S = 15.0
END_S = 5.0
MAX_ANSWER = 262_144


class SignerUnreachable(Exception):
    """A fault: nobody answers at the signer's socket, or not in time, or not in its language. Tried again."""


class SignerRefused(Exception):
    """The signer does not sign this; `code` says why, `remembered` the size it goes on from."""

    def __init__(self, code: str, remembered: int | None = None) -> None:
        super().__init__(code)
        self.code, self.remembered = code, remembered


@dataclass(frozen=True, slots=True)
class SignerState:
    """The last head it signed, and its public keys: the one in force first, then the one that will follow it."""

    size: int
    root: bytes
    verifier_keys: tuple[notes.VerifierKey, ...]


class Signer(Protocol):
    """Signs heads that continue the last one it signed."""

    def state(self) -> SignerState:
        """What it remembers."""
        ...

    def sign(self, head: notes.TreeHead, *, old: int, proof: Sequence[bytes]) -> bytes:
        """The signed note; `proof` leads from the head of size `old`, which it remembers. Raises SignerRefused."""
        ...


class SocketSigner:
    """The signer behind its socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def state(self) -> SignerState:
        """What it remembers. Raises SignerUnreachable."""
        return _state(self._ask({"do": "state"}))

    def prepare(self) -> SignerState:
        """Have it draw its next key: both sign from now on."""
        return _state(self._ask({"do": "prepare"}))

    def retire(self) -> SignerState:
        """Have its next key take over. Raises SignerRefused when there is none."""
        return _state(self._ask({"do": "retire"}))

    def sign(self, head: notes.TreeHead, *, old: int, proof: Sequence[bytes]) -> bytes:
        """The signed note. Raises SignerRefused, SignerUnreachable."""
        asked = {"do": "sign", "origin": head.origin, "size": head.size, "root": _b64(head.root), "old": old}
        answer = self._ask(asked | {"proof": [_b64(each) for each in proof]})
        return str(answer["note"]).encode()

    def answers(self) -> bool:
        """Whether it is there."""
        try:
            self.state()
        except SignerUnreachable:
            return False
        return True

    def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
                line.settimeout(ANSWER_S)
                line.connect(str(self._path))
                line.sendall(json.dumps(asked).encode() + b"\n")
                with line.makefile("rb") as said:
                    answer = json.loads(said.readline(MAX_ANSWER))
        except (OSError, ValueError) as err:
            raise SignerUnreachable(f"the signer does not answer at {self._path} ({type(err).__name__})") from err
        if not isinstance(answer, dict):
            raise SignerUnreachable(f"what answers at {self._path} is no signer")
        if "refused" in answer:
            raise SignerRefused(str(answer["refused"]), answer.get("size"))
        return answer


def _state(answer: dict[str, Any]) -> SignerState:
    try:
        vkeys = tuple(notes.VerifierKey.parse(text) for text in answer["vkeys"])
        return SignerState(int(answer["size"]), base64.b64decode(answer["root"]), vkeys)
    except (KeyError, TypeError, ValueError) as err:
        raise SignerUnreachable("the signer's answer cannot be read") from err


@contextmanager
def reach(*, start: bool = True) -> Iterator[Signer]:
    """The signer of this installation, started for this long when it is ours to run and does not run (`start`).

    A deployment with another kind of signer (a key in hardware) names its own context manager in AUDIT_SIGNER.
    """
    if other := getattr(settings, "AUDIT_SIGNER", ""):
        with import_string(other)() as signer:
            yield signer
        return
    ours = SocketSigner(Path(settings.AUDIT_SIGNER_SOCKET))
    if not start or not settings.AUDIT_SIGNER_OURS or ours.answers():
        yield ours
        return
    with _started(ours):
        yield ours


def command() -> list[str]:
    """The program that is our signer, as it is to be started."""
    where = ["--folder", str(keys.keys_dir() / "signer"), "--socket", str(settings.AUDIT_SIGNER_SOCKET)]
    return [sys.executable, "-m", "audit.signer", *where, "--origin", keys.origin()]


@contextmanager
def _started(signer: SocketSigner) -> Iterator[None]:
    process = subprocess.Popen(
        [*command(), "--while-held"],
        cwd=settings.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        until = time.monotonic() + START_S
        while not signer.answers():
            if process.poll() is not None and not signer.answers():
                said = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
                raise SignerUnreachable(said or "the signer ended at its start")
            if time.monotonic() > until:
                raise SignerUnreachable("the signer did not start in time")
            time.sleep(0.02)
        yield
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it, whatever state it is in. Killed at any moment, it remembers what it signed."""
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for line in (process.stdin, process.stderr):
        if line:
            line.close()


def first_key() -> notes.VerifierKey:
    """The key the log began with, as the signer first named it."""
    return notes.VerifierKey.parse(keys.pinned("log.vkey", _ask_key).decode())


def _ask_key() -> bytes:
    with reach() as signer:
        return str(signer.state().verifier_keys[0]).encode()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
