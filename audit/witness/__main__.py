"""`python -m audit.witness --name NAME --log VKEY [--log VKEY ...] [--listen HOST:PORT] [--db FILE] [--key FILE]`.

Prints this witness's line for a policy file on standard output, then serves until it is stopped. Exits 2, saying why,
when it cannot start: an unreadable key, a port that is taken, a key without its state.
"""

from __future__ import annotations

import argparse
import signal
import sqlite3
import sys
import threading
import time
from pathlib import Path

from audit.notes import NoteInvalid, VerifierKey
from audit.witness.identity import IdentityRefused, identity
from audit.witness.judging import Witness
from audit.witness.server import Server
from audit.witness.store import Store


def main(argv: list[str] | None = None) -> int:
    """Run the witness; 0 when it was stopped, 2 when it could not start."""
    asked = _arguments(argv)
    try:
        address, logs, store = _address(asked.listen), [_log(text) for text in asked.log], Store(asked.db)
        name, key = identity(asked.key, name=asked.name, store=store)
        witness = Witness(name=name, key=key, logs=logs, store=store)
        server = Server(address, witness, clock=lambda: int(time.time()))
    except (IdentityRefused, NoteInvalid, OSError, OverflowError, sqlite3.Error, ValueError) as err:
        sys.stderr.write(f"refused: {err}\n")
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    host, port = server.server_address[:2]
    said = host.decode() if isinstance(host, bytes | bytearray) else host
    sys.stdout.write(f"witness {name} {witness.vkey} http://{f'[{said}]' if ':' in said else said}:{port}/\n")
    sys.stdout.flush()
    server.serve_forever(poll_interval=0.2)
    server.server_close()
    return 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m audit.witness", description="Remembers and cosigns a log's growth."
    )
    parser.add_argument("--log", metavar="VKEY", action="append", required=True, help="a log's key; may be given again")
    parser.add_argument("--name", help="as in example.org/witness; needed at the first start, fixed from then on")
    parser.add_argument("--listen", metavar="HOST:PORT", default="127.0.0.1:8090", help="default %(default)s")
    parser.add_argument("--db", metavar="FILE", type=Path, default=Path("witness.sqlite3"), help="default %(default)s")
    parser.add_argument("--key", metavar="FILE", type=Path, default=Path("witness.key"), help="default %(default)s")
    return parser.parse_args(argv)


def _log(text: str) -> VerifierKey:
    try:
        return VerifierKey.parse(text)
    except NoteInvalid as err:
        raise ValueError(f"--log takes a verifier key, not {text}") from err


def _address(text: str) -> tuple[str, int]:
    host, found, port = text.rpartition(":")
    if not found or not port.isascii() or not port.isdigit():
        raise ValueError(f"--listen takes HOST:PORT, not {text}")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    raise SystemExit(main())
