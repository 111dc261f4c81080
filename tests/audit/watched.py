"""A log to be watched: leaves, a key, and the requests its publisher would send to a witness."""

import base64
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import merkle, notes
from audit.notes import TreeHead, VerifierKey

ORIGIN = "clinaiops.invalid/log/watched"


class WatchedLog:
    """Leaves by number; `salt` makes another history of the same log."""

    def __init__(self, *, origin: str = ORIGIN, seed: int = 1, size: int = 64, salt: bytes = b"") -> None:
        self.origin = origin
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.leaves = [merkle.leaf_hash(salt + n.to_bytes(4, "big")) for n in range(size)]

    @property
    def vkey(self) -> VerifierKey:
        return VerifierKey(self.origin, self.key.public_key().public_bytes_raw())

    @property
    def hash(self) -> str:
        return sha256(self.origin.encode()).hexdigest()

    def head(self, size: int) -> TreeHead:
        return TreeHead(self.origin, size, merkle.root(self.leaves[:size]))

    def note(self, size: int) -> bytes:
        return notes.sign(self.head(size).text(), name=self.origin, key=self.key)

    def proof(self, old: int, new: int) -> tuple[bytes, ...]:
        return merkle.consistency_proof(old, new, merkle.subtree_of(self.leaves)) if 1 <= old <= new else ()

    def request(self, old: int, new: int, *, proof=None, note: bytes | None = None) -> bytes:
        """The body of an add-checkpoint."""
        hashes = self.proof(old, new) if proof is None else proof
        lines = b"".join(base64.b64encode(each) + b"\n" for each in hashes)
        return b"old %d\n" % old + lines + b"\n" + (note or self.note(new))
