"""Signatures of people that a database administrator cannot forge (README 8; SECURITY 3.4; WebAuthn 7.2).

* The record that was signed says what the entry says, and the challenge that was signed is made of that record.
* The key was enrolled by an earlier entry, confirmed by somebody else, and not revoked since.
* What only the application attests (a session, a password with a code) is counted and shown as that.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from audit.verify.notes import unb64, verifies
from audit.verify.spelling import CHECKS, Wrong, parse

CONTEXT = b"clinaiops/esign/v1"
_BYTES = ("nonce", "client_data", "authenticator_data", "signature", "public_key", "credential_id")
_ORIGIN = re.compile(r"https://([a-z0-9.-]+)(?::[0-9]{1,5})?|http://(localhost)(?::[0-9]{1,5})?")
_ED25519 = bytes.fromhex("a4010103272006215820")  # the COSE_Keys of RFC 9053 in the one form CTAP2 allows
_P256, _Y = bytes.fromhex("a5010203262001215820"), bytes.fromhex("225820")


class Signatures:
    """The credentials known so far, and how many signatures of each kind were met."""

    def __init__(self) -> None:
        self.counts = {"webauthn": 0, "password_totp": 0, "session": 0, "content_shown": 0}
        self._enrolled: dict[tuple[str, ...], object] = {}  # (account, credential id, key), and at which object
        self._confirmed: set[tuple[str, ...]] = set()
        self._revoked: set[object] = set()  # credential ids, and the objects of enrolments
        self._used: set[str] = set()
        self._made: dict[str, tuple[Any, Any]] = {}  # assertion -> (esign, record) of a signature whose act is to come

    def learn(self, entry: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        """Take in an entry of outcome ok that may be about a credential."""
        named, word = [body.get(key) for key in ("user", "credential_id", "public_key")], entry["type"]
        name, thing = tuple(map(str, named)), (entry["object"]["type"], entry["object"]["id"])
        if word == "credential.revoked":
            self._revoked |= {name[1], thing}  # a payload that is not shown hides no revocation
        if body.get("method") != "webauthn" or not all(type(each) is str for each in named):
            return
        if word == "credential.enrolled":
            self._enrolled.setdefault(name, thing)
        if word == "credential.confirmed" and (entry["actor"]["kind"], entry["actor"]["id"]) != ("user", name[0]):
            self._confirmed |= self._enrolled.keys() & {name}

    def check(self, entry: Mapping[str, Any], line: Mapping[str, Any] | None) -> None:
        """The entry's signature, with its line of evidence; raises Wrong."""
        method = entry["esign"]["method"] if "esign" in entry else ""
        _require(method == "webauthn" or line is None, "stray", "evidence for an entry that is not signed so")
        _require(method in ("", "webauthn", "password_totp", "session"), "method", method)
        if line is not None:
            self._webauthn(entry, entry["esign"], line)
        elif method == "webauthn":
            esign, record = self._made.pop(entry["esign"].get("assertion_sha256", ""), (None, None))
            _require(esign is not None, "missing", "a signature without its evidence, or used up")
            _require((esign, record) == (entry["esign"], _said(entry, record)), "record", "another act than was signed")
        if method:
            self.counts[method] += 1

    def _webauthn(self, entry: Mapping[str, Any], esign: Mapping[str, Any], line: Mapping[str, Any]) -> None:
        record = parse(line["record"].encode(), "V10", "esign-record")
        nonce, client, authenticator, signature, public, credential = (unb64(line[name]) for name in _BYTES)
        self._says_the_same(entry, esign, line, record)
        record_hash = sha256(CONTEXT + line["record"].encode()).digest()
        _require(record_hash.hex() == esign["record"], "record", "the record shown is not the one that was signed")
        host = _client(client, sha256(CONTEXT + record_hash + nonce).digest())
        _require(host is not None and len(nonce) == 32, "challenge", "the client data is for something else")
        _require(len(authenticator) > 36 and authenticator[32] & 5 == 5, "flags", "the user was not there and verified")
        sites = {sha256(str(host).split(".", n)[-1].encode()).digest() for n in range(str(host).count(".") + 1)}
        _require(authenticator[:32] in sites, "rp", "the authenticator answered another site")
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in (authenticator, client, signature))
        assertion = sha256(framed).hexdigest()
        good = _good(public, authenticator + sha256(client).digest(), signature)
        _require(good and assertion == esign.get("assertion_sha256"), "signature", "not the assertion, or not good")
        _require(assertion not in self._used, "reused", "one assertion for two entries")
        self._used.add(assertion)
        name = (entry["actor"]["id"], _url64(credential), _url64(public))
        known = name in self._confirmed and not self._revoked & {name[1], self._enrolled[name]}
        _require(known and esign.get("key_id") == name[1], "key", "not a confirmed key of this person")

    def _says_the_same(self, entry: Any, esign: Any, line: Any, record: Any) -> None:
        _require(CHECKS["record"](record) and entry["actor"]["kind"] == "user", "record", "not the members of a record")
        said = _said(entry, record)
        if entry["type"] == "signature.made":  # its record is about the act that follows
            said |= {name: record[name] for name in ("type", "object")}
            self._made[esign.get("assertion_sha256", "")] = (esign, record)
        _require(record == said, "record", "the record that was signed says something else than the entry")
        content, salt = line["content"], line["content_salt"]
        if content is not None or salt is not None:
            digest = sha256(b"clinaiops/esign-content/v1" + bytes.fromhex(salt or "") + (content or "").encode())
            same = None not in (content, salt) and digest.hexdigest() == record["content"]
            _require(same, "content", "not what was shown")
            parse(content.encode(), "V10", "esign-content")
            self.counts["content_shown"] += 1


def _said(entry: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """The record that this entry answers to; its content is whatever was shown."""
    place, esign = entry["object"], entry["esign"]
    return {
        **record,
        "type": entry["type"],
        "object": {name: place[name] for name in ("type", "id", "version")},
        "subject": entry.get("subject"),
        "meaning": esign["meaning"],
        "account": entry["actor"]["id"] if entry["actor"]["kind"] == "user" else None,
        "name_shown": esign.get("name_shown"),
    }


def _require(holds: bool, code: str, detail: str) -> None:
    if not holds:
        raise Wrong("V10", f"esign-{code}", detail)


def _url64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _client(data: bytes, challenge: bytes) -> str | None:
    """The host that the client data names, None unless they are for this challenge and from a secure place."""
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        said = json.loads(data.decode())
        same = (said["type"], said["challenge"]) == ("webauthn.get", _url64(challenge))
        origin = _ORIGIN.fullmatch(said["origin"])
        if same and origin and said.get("crossOrigin", False) is False:
            return origin[1] or origin[2]
    return None


def _good(cose: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is that of the COSE_Key: ES256 on P-256, or EdDSA on Ed25519."""
    if cose.startswith(_ED25519) and len(cose) == 42:
        return verifies(cose[10:], message, signature)
    if not cose.startswith(_P256) or len(cose) != 77 or cose[42:45] != _Y:
        return False
    with suppress(InvalidSignature, ValueError):
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + cose[10:42] + cose[45:])
        key.verify(signature, message, ec.ECDSA(SHA256()))
        return True
    return False
