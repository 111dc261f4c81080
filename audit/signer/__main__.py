"""`python -m audit.signer --folder F --socket S --origin O`: the signer as a process of its own, on a private socket.

The rules
 * One request a line, one answer a line, both JSON: `{"do": "state"}`, `{"do": "sign", ...}`, `{"do": "prepare"}`,
   `{"do": "retire"}`. A refusal is `{"refused": code}`, with the remembered size where a proof must start from it.
 * A line is at most 64 KiB and must come within 5 s; at most 8 callers at once, served one request at a time. Whoever
   is slower, longer or no JSON is answered once, by name, and hung up on.
 * The socket is 0600: only this account may ask. A signer with an account of its own shares it with one group.
 * SIGTERM is the kernel's to carry out: a handler of ours can be noted an instant before the wait for a caller and then
   never run. What is on the disk is replaced whole, so it may fall at any moment.
 * Started for one caller (`--while-held`) it ends with that caller, however that one ended.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from audit import notes
from audit.signer import Core, Folder, NotFit, Refused

MAX_LINE = 65_536
LINE_S = 5.0
CALLERS = 8
NOT_FIT, USAGE = 1, 2


class Desk:
    """Answers requests, one at a time."""

    def __init__(self, folder: Folder) -> None:
        self._folder, self._core, self._turn = folder, folder.core(), threading.Lock()

    def answer(self, line: bytes) -> dict[str, Any]:
        """The answer to one line; never raises for what a caller sent."""
        try:
            asked = json.loads(line)
            do = asked["do"]
            with self._turn:
                return self._do(do, asked)
        except Refused as why:
            return {"refused": why.code, "size": why.remembered}
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"refused": "malformed"}
        except (OSError, NotFit) as err:
            return {"refused": "disk", "detail": type(err).__name__}

    def _do(self, do: Any, asked: dict[str, Any]) -> dict[str, Any]:
        if do == "sign":
            return {"note": self._sign(asked).decode()}
        if do == "prepare":
            self._core = self._folder.prepare()
        elif do == "retire":
            self._core = self._folder.retire()
        elif do != "state":
            raise Refused("unknown-request")
        return _state(self._core)

    def _sign(self, asked: dict[str, Any]) -> bytes:
        size, old, proof = asked["size"], asked["old"], asked["proof"]
        if type(size) is not int or type(old) is not int or not isinstance(proof, list) or len(proof) > 128:
            raise Refused("malformed")
        head = notes.TreeHead(str(asked["origin"]), size, _raw(asked["root"]))
        return self._core.sign(head, old=old, proof=[_raw(each) for each in proof])


def _state(core: Core) -> dict[str, Any]:
    return {
        "origin": core.origin,
        "size": core.head.size,
        "root": base64.b64encode(core.head.root).decode(),
        "vkeys": [str(key) for key in core.verifier_keys],
    }


def _raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def serve(desk: Desk, line: socket.socket) -> None:
    """Answer on one connection until it ends, is slow, or is too long."""
    with line:
        held = b""
        until = time.monotonic() + LINE_S
        while True:
            asked, found, rest = held.partition(b"\n")
            try:
                if found:
                    line.settimeout(LINE_S)
                    line.sendall(json.dumps(desk.answer(asked)).encode() + b"\n")
                    held, until = rest, time.monotonic() + LINE_S
                    continue
                if len(held) > MAX_LINE:
                    line.sendall(b'{"refused": "too-long"}\n')
                    return
                line.settimeout(max(0.01, until - time.monotonic()))
                more = line.recv(65_536)
            except OSError:  # slow, gone, or not listening: each is the caller's business
                return
            if not more:
                return
            held += more


def listen(desk: Desk, path: Path, *, group: str | None = None) -> None:
    """Answer whoever connects, until the process is told to stop."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    room = threading.BoundedSemaphore(CALLERS)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        before = os.umask(0o177)
        try:
            door.bind(str(path))
        finally:
            os.umask(before)
        if group is not None:
            shutil.chown(path, group=group)
            path.chmod(0o660)
        door.listen(CALLERS)
        while True:
            line, _ = door.accept()
            if not room.acquire(timeout=2 * LINE_S):
                line.close()
                continue
            threading.Thread(target=_in_turn, args=(desk, line, room), daemon=True).start()


def _in_turn(desk: Desk, line: socket.socket, room: threading.BoundedSemaphore) -> None:
    try:
        serve(desk, line)
    finally:
        room.release()


def _end_when_let_go() -> None:
    """Wait for the end of what we were handed as standard input: the kernel closes it when our caller is gone."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(0)


def main(arguments: list[str]) -> int:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m audit.signer", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="keys and memory; made on first use, 0700")
    parser.add_argument("--socket", type=Path, help="where to listen")
    parser.add_argument("--group", help="a group that may ask too; without it only this account may")
    parser.add_argument("--origin", required=True, help="the name of the one log that is signed")
    parser.add_argument(
        "--remember", type=Path, metavar="NOTE", help="take this checkpoint as the last one signed; stop"
    )
    parser.add_argument("--while-held", action="store_true", help="end when the standard input ends")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if asked.while_held:
        threading.Thread(target=_end_when_let_go, daemon=True).start()
    folder = Folder(asked.folder, asked.origin)
    try:
        with folder.held():
            if asked.remember:
                folder.remember(asked.remember.read_bytes())
            elif asked.socket:
                listen(Desk(folder), asked.socket, group=asked.group)
            else:
                parser.error("--socket or --remember is needed")
    except (NotFit, OSError, LookupError, notes.NoteInvalid) as reason:
        sys.stderr.write(f"The signer cannot work: {reason}\n")
        return NOT_FIT
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
