"""The signer as tests use it: the real core and the key of this home, in this process, remembering nothing before.

A test's log begins anew, which a signer rightly refuses to sign; so each time it is asked it starts from an empty
memory and signs from the size it is at.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audit import notes
from audit.services import keys
from audit.services.signing import SignerRefused, SignerState
from audit.signer import Core, Folder, Memory, NotFit, Refused


class InProcess:
    """A core behind the face of `signing.Signer`."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def state(self) -> SignerState:
        """What it remembers."""
        return SignerState(self.core.head.size, self.core.head.root, self.core.verifier_keys)

    def sign(self, head: notes.TreeHead, *, old: int, proof) -> bytes:
        """The note, or the refusal the socket would carry."""
        try:
            return self.core.sign(head, old=old, proof=proof)
        except Refused as why:
            raise SignerRefused(why.code, why.remembered) from why

    def prepare(self) -> SignerState:
        """This one has no folder to draw a next key in."""
        raise SignerRefused("no-next-key")

    retire = prepare


@contextmanager
def forgetful() -> Iterator[InProcess]:
    """This home's key with an empty memory (setting AUDIT_SIGNER of the tests)."""
    with tempfile.TemporaryDirectory() as folder:
        yield InProcess(core(Path(folder) / "memory.json"))


def core(memory: Path) -> Core:
    """This home's key with that memory."""
    folder = Folder(keys.keys_dir() / "signer", keys.origin())
    deadline = time.monotonic() + 20
    while not (folder.path / "log.key").exists():
        try:
            with folder.held():
                folder.core()
        except NotFit:  # another process of the tests is making it
            assert time.monotonic() < deadline
            time.sleep(0.02)
    return Core(keys.origin(), folder.core()._keys, Memory(memory, keys.origin()))
