"""The signatures of people, by section 8 (V10)."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256

from . import shapes
from .bundle import Bundle, Entry
from .payloads import Payloads
from .spelling import Misspelled, from_b64, read, to_url
from .verdict import Findings

_LABEL = b"clinaiops/esign/v1"
_WEB_ORIGIN = re.compile(r"(?:https://([a-z0-9.-]+)|http://(localhost))(?::[0-9]{1,5})?\Z")
_P256 = bytes.fromhex("a5010203262001215820"), bytes.fromhex("225820")
_ED25519 = bytes.fromhex("a4010103272006215820")


class _Bad(Exception):
    """A line does not hold; the argument is the class."""


def _held(condition: bool, kind: str) -> None:
    if not condition:
        raise _Bad(kind)


class Signatures:
    """The signed entries of a bundle with their lines."""

    def __init__(self, bundle: Bundle, payloads: Payloads, findings: Findings) -> None:
        self.bundle, self.shown, self.findings = bundle, payloads.of, findings
        self.lines: dict[str, dict[str, Any]] = {}
        self.signed = [entry for entry in bundle.entries if "esign" in entry.body]

    def check(self) -> None:
        """Every entry's signature, and every line's entry."""
        self.strays()
        for entry in self.signed:
            kind = self.wrong_with(entry)
            if kind:
                self.findings.at(entry.position, 20, kind)

    def strays(self) -> None:
        by_id = self.bundle.by_id
        self.lines, left = self.bundle.turns(self.bundle.assertions)
        for entry_id in [*self.lines]:
            if by_id[entry_id].body.get("esign", {}).get("method") != "webauthn":
                self.findings.at(by_id[entry_id].position, 20, "esign-stray")
                del self.lines[entry_id]
        if left:
            self.findings.total(0, "esign-stray")

    def made_before(self, entry: Entry) -> Entry | None:
        """The `signature.made` before that holds this act's evidence."""
        if entry.type == "signature.made":
            return None
        for other in self.signed:
            if other.type == "signature.made" and other.position < entry.position and _same(other, entry):
                return other
        return None

    def wrong_with(self, entry: Entry) -> str:
        """The class of what is wrong with an entry's signature; empty when nothing is."""
        esign = entry.body["esign"]
        if esign["method"] not in ("webauthn", "password_totp", "session"):
            return "esign-method"
        if esign["method"] != "webauthn":
            return ""
        made = self.made_before(entry)
        if made is not None and entry.body["id"] not in self.lines:
            earlier = [e for e in self.signed if made.position < e.position < entry.position and _same(e, entry)]
            return "esign-missing" if earlier else self.act(entry, made)
        if entry.body["id"] not in self.lines:
            return "esign-missing"
        try:
            self.line(entry, self.lines[entry.body["id"]])
        except _Bad as bad:
            return str(bad.args[0])
        return ""

    def act(self, entry: Entry, made: Entry) -> str:
        """The class of what is wrong with an act whose evidence stands at `made`."""
        if entry.body["esign"] != made.body["esign"]:
            return "esign-record"
        try:
            record = read(self.lines[made.body["id"]]["record"].encode())
            self.says(entry, record)
            _held(_object(entry) == record["object"] and entry.type == record["type"], "esign-record")
        except (KeyError, TypeError, Misspelled, _Bad):
            return "esign-record"
        return ""

    def line(self, entry: Entry, line: dict[str, Any]) -> None:
        esign = entry.body["esign"]
        raw = {
            name: from_b64(line[name]) for name in line if name not in ("entry", "record", "content", "content_salt")
        }
        self.record(entry, line)
        self.client(raw, bytes.fromhex(esign["record"]))
        parts = (raw["authenticator_data"], raw["client_data"], raw["signature"])
        digest = hashlib.sha256(b"".join(struct.pack(">I", len(part)) + part for part in parts)).hexdigest()
        _held(esign.get("assertion_sha256") == digest, "esign-signature")
        signed = raw["authenticator_data"] + hashlib.sha256(raw["client_data"]).digest()
        _held(_verifies(raw["public_key"], signed, raw["signature"]), "esign-signature")
        _held(esign.get("key_id") == to_url(raw["credential_id"]), "esign-key")
        self.registered(entry, to_url(raw["credential_id"]), to_url(raw["public_key"]))
        for other in self.signed:
            if other.position < entry.position and other.body["esign"].get("assertion_sha256") == digest:
                raise _Bad("esign-reused")

    def record(self, entry: Entry, line: dict[str, Any]) -> None:
        esign, spelled = entry.body["esign"], line["record"].encode()
        try:
            record = read(spelled)
        except Misspelled as wrong:
            raise _Bad("esign-record") from wrong
        _held(shapes.RECORD(record) and entry.body["actor"]["kind"] == "user", "esign-record")
        self.says(entry, record)
        if entry.type != "signature.made":
            _held(_object(entry) == record["object"] and entry.type == record["type"], "esign-record")
        content, salt = line["content"], line["content_salt"]
        _held((content is None) == (salt is None), "esign-content")
        if content is not None:
            data = b"clinaiops/esign-content/v1" + bytes.fromhex(salt) + content.encode()
            _held(hashlib.sha256(data).hexdigest() == record["content"], "esign-content")
            try:
                read(content.encode())
            except Misspelled as wrong:
                raise _Bad("esign-content") from wrong
        _held(hashlib.sha256(_LABEL + spelled).hexdigest() == esign["record"], "esign-record")

    @staticmethod
    def says(entry: Entry, record: dict[str, Any]) -> None:
        esign = entry.body["esign"]
        said = (record["subject"], record["meaning"], record["name_shown"], record["account"])
        right = (entry.body.get("subject"), esign["meaning"], esign.get("name_shown"), entry.body["actor"]["id"])
        _held(said == right and entry.body["actor"]["kind"] == "user", "esign-record")

    @staticmethod
    def client(raw: dict[str, bytes], record: bytes) -> None:
        try:
            data = json.loads(raw["client_data"].decode())
        except (ValueError, RecursionError) as wrong:
            raise _Bad("esign-challenge") from wrong
        challenge = to_url(hashlib.sha256(_LABEL + record + raw["nonce"]).digest())
        good = isinstance(data, dict) and (data.get("type"), data.get("challenge")) == ("webauthn.get", challenge)
        _held(good and data.get("crossOrigin", False) is False, "esign-challenge")
        origin = _WEB_ORIGIN.match(data["origin"]) if isinstance(data.get("origin"), str) else None
        if origin is None or len(raw["nonce"]) != 32:
            raise _Bad("esign-challenge")
        host, authenticator = origin[1] or origin[2], raw["authenticator_data"]
        _held(len(authenticator) >= 37 and authenticator[32] & 0x05 == 0x05, "esign-flags")
        labels = host.split(".")
        domains = {".".join(labels[at:]) for at in range(len(labels))}
        _held(authenticator[:32] in {hashlib.sha256(d.encode()).digest() for d in domains}, "esign-rp")

    def registered(self, entry: Entry, credential: str, public: str) -> None:
        wanted = {"user": entry.body["actor"]["id"], "method": "webauthn", "credential_id": credential}
        wanted["public_key"] = public
        enrolled_at: tuple[str, str] | None = None
        confirmed = False
        before = [other for other in self.bundle.entries if other.position < entry.position]
        for earlier in [other for other in before if other.body["outcome"] == "ok"]:
            payload = self.shown.get(earlier.body["id"])
            payload = payload if isinstance(payload, dict) else {}
            same = all(payload.get(name) == value for name, value in wanted.items())
            if earlier.type == "credential.enrolled" and same:
                enrolled_at = enrolled_at or earlier.object
            actor = earlier.body["actor"]["kind"], earlier.body["actor"]["id"]
            if earlier.type == "credential.confirmed" and same and enrolled_at and actor != ("user", wanted["user"]):
                confirmed = True
        revoked = [other for other in before if other.type == "credential.revoked" and other.body["outcome"] == "ok"]
        for other in revoked:
            payload = self.shown.get(other.body["id"])
            _held(other.object != enrolled_at, "esign-key")
            _held(not isinstance(payload, dict) or payload.get("credential_id") != credential, "esign-key")
        _held(enrolled_at is not None and confirmed, "esign-key")


def _same(one: Entry, other: Entry) -> bool:
    """Whether the two name one assertion."""
    one_names, other_names = (each.body["esign"].get("assertion_sha256") for each in (one, other))
    return one_names is not None and one_names == other_names


def _object(entry: Entry) -> dict[str, Any]:
    return {name: entry.body["object"][name] for name in ("type", "id", "version")}


def _verifies(cose: bytes, message: bytes, signature: bytes) -> bool:
    start, middle = _P256
    try:
        if len(cose) == 77 and cose.startswith(start) and cose[42:45] == middle:
            x, y = int.from_bytes(cose[10:42], "big"), int.from_bytes(cose[45:], "big")
            key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
            key.verify(signature, message, ec.ECDSA(SHA256()))
            return True
        if len(cose) == 42 and cose.startswith(_ED25519):
            ed25519.Ed25519PublicKey.from_public_bytes(cose[10:]).verify(signature, message)
            return True
    except (InvalidSignature, ValueError):
        return False
    return False
