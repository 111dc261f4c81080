"""What keeps the record's evidence outside the database, started beside the rest: the signer, and one local witness.

The rules
 * The signer runs here unless a site names another one's socket (AUDIT_SIGNER_SOCKET).
 * With nothing configured one witness runs here too, with a policy file of ours that names it, so that every part of
   the way is seen working. A witness on the same machine proves nothing against this machine's administrator, and the
   file says so. A site names its own policy (AUDIT_WITNESS_POLICY) with witnesses of others.
 * Nothing is served from a log shorter than the witnesses have seen.
"""

import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from config.embedded.home import CannotStart, make_private

WITNESS_S = 10.0
NOTICE = """\
# Made by `manage.py serve`. The only witness here runs on this machine, under this account: it shows how the way works
# and proves nothing against whoever administers this machine. A real site names witnesses run by others, in a file of
# its own (AUDIT_WITNESS_POLICY), and hands that file to auditors by another way than this system.
"""


def programs() -> dict[str, list[str]]:
    """The programs to run beside the house, by name; Django is set up. Raises CannotStart."""
    from django.conf import settings
    from django.db import DatabaseError

    from audit.services import signing
    from audit.services.keys import KeyLost
    from audit.witness.identity import IdentityRefused

    try:
        found = {"signer": signing.command()} if settings.AUDIT_SIGNER_OURS else {}
        if settings.EMBEDDED_WITNESS:
            found["witness"] = _witness()
    except DatabaseError as reason:
        raise CannotStart(f"Cannot serve: the record cannot be read. Has `manage.py migrate` run? {reason}") from reason
    except (KeyLost, IdentityRefused, signing.SignerUnreachable, signing.SignerRefused) as reason:
        raise CannotStart(f"Cannot serve: {reason}") from reason
    return found


def _witness() -> list[str]:
    """Our local witness's program; the policy file that names it is written."""
    from django.conf import settings

    from audit import witness_policy
    from audit.notes import WitnessKey
    from audit.services import keys, publishing
    from audit.signer import replace
    from audit.witness.identity import identity
    from audit.witness.store import Store

    folder = settings.HOME.path / "witness"
    make_private(folder)
    name, key = identity(folder / "witness.key", name=f"{keys.origin()}/local", store=Store(folder / "witness.sqlite3"))
    listen = f"127.0.0.1:{_free_port()}"
    logs = publishing.known_keys()
    witness = witness_policy.Witness(
        "local", WitnessKey(name, key.public_key().public_bytes_raw()), f"http://{listen}/"
    )
    policy = witness_policy.Policy(
        tuple(witness_policy.Log(each) for each in logs), (witness,), (), "local", (keys.statement_vkey(),)
    )
    replace(Path(settings.AUDIT_WITNESS_POLICY), (NOTICE + witness_policy.render(policy)).encode())
    kept = ["--db", str(folder / "witness.sqlite3"), "--key", str(folder / "witness.key")]
    named = [part for each in logs for part in ("--log", str(each))]
    return [sys.executable, "-m", "audit.witness", "--name", name, *named, "--listen", listen, *kept]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_ours(until: float) -> None:
    """Until our own witness listens, so that it is not asked while it starts, or until `until` (monotonic seconds).

    It is asked either way: this decides nothing. Raises OSError or PolicyInvalid when the policy file is of no use.
    """
    from django.conf import settings

    from audit.witnessed import policy_here

    policy = policy_here() if settings.EMBEDDED_WITNESS else None
    for witness in policy.witnesses if policy is not None else ():
        address = urlsplit(witness.url or "")
        while address.port is not None and time.monotonic() < until:
            try:
                socket.create_connection((address.hostname or "", address.port), timeout=1.0).close()
            except OSError:
                time.sleep(0.1)
            else:
                break


def refusal() -> str | None:
    """Why nothing may be served from this database, or None. Our own witness is given a moment to come up."""
    from django.conf import settings

    from audit.services.witnessing import LogShorterThanWitnessed, refuse_shorter_log
    from audit.witness_policy import PolicyInvalid

    until = time.monotonic() + (WITNESS_S if settings.EMBEDDED_WITNESS else 0.0)
    try:
        _wait_for_ours(until)
        while refuse_shorter_log() and time.monotonic() < until:
            time.sleep(0.1)
    except LogShorterThanWitnessed as reason:
        return str(reason)
    except (OSError, PolicyInvalid) as reason:
        return f"The policy file {settings.AUDIT_WITNESS_POLICY} is of no use: {reason}"
    return None
