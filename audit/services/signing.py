"""Who signs the size and root of the log: a small interface, so that the signer can be a process of its own."""

from __future__ import annotations

from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import merkle, notes
from audit.services import keys


class Signer(Protocol):
    """Signs a tree head that continues the one before it, and refuses any other (raises merkle.ProofInvalid)."""

    @property
    def verifier_key(self) -> notes.VerifierKey:
        """The key by which the signatures are checked."""
        ...

    def sign(self, head: notes.TreeHead, *, before: notes.TreeHead | None, proof: tuple[bytes, ...]) -> bytes:
        """The signed note for `head`; `proof` shows that the tree of `before` is its beginning."""
        ...


class LocalSigner:
    """Signs in this process with the key in the state home."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._name, self._key = name, key

    @property
    def verifier_key(self) -> notes.VerifierKey:
        """The public half, under the log's name."""
        return notes.VerifierKey(self._name, self._key.public_key().public_bytes_raw())

    def sign(self, head: notes.TreeHead, *, before: notes.TreeHead | None, proof: tuple[bytes, ...]) -> bytes:
        """The signed note for `head`, once the proof holds."""
        if before is not None:
            merkle.check_consistency(
                old=before.size, new=head.size, proof=proof, old_root=before.root, new_root=head.root
            )
        return notes.sign(head.text(), name=self._name, key=self._key)


def local_signer() -> LocalSigner:
    """The signer of this installation."""
    return LocalSigner(keys.origin(), keys.log_key())
