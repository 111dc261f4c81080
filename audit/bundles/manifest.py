"""The manifest of a bundle: what it is, of which log, what is in it, what is not and why.

The rules
 * One spelling (canonical JSON); unknown, missing and ill-typed members are refused by name.
 * What a filter, a permission or a shredding left out is counted under its reason (45 CFR 164.312(b), 21 CFR 11.10(b):
   a copy says whether it is complete).
 * The note over it is signed by the statement key: origin, size, root, number of entries, digest of the manifest.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit import canonical

FORMAT = "clinaiops/bundle/v1"
NOTE_CONTEXT = "clinaiops/export-manifest/v1"
KINDS = ("everything", "patient", "model", "person", "period", "decision")
MANIFEST, NOTE = "manifest.json", "manifest.note"
LISTED = (
    "assertions.jsonl",
    "batches.jsonl",
    "checkpoints.jsonl",
    "entries.jsonl",
    "heads.jsonl",
    "payloads.jsonl",
    "rest.jsonl",
)
MAX_MANIFEST = 65_535
_HEX64 = re.compile(r"[0-9a-f]{64}")


class BundleInvalid(ValueError):
    """The file is not a bundle that can be read; `code` says which rule is broken."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many of `what` are not here, and `why`.

    `entries` are those below the bundle's size, `later_entries` those beyond it; `payloads` and `batches` are of
    entries that are here.
    """

    what: str
    why: str
    n: int


@dataclass(frozen=True, slots=True)
class PayloadCounts:
    """The payloads of the included entries: shown, withheld from this reader, shredded."""

    included: int = 0
    withheld: int = 0
    shredded: int = 0


@dataclass(frozen=True, slots=True)
class FileListed:
    """A member with its length in bytes and its digest in hex."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says of itself. `made_at` as in entries; `root` is that of the tree of `size` entries."""

    origin: str
    kind: str
    filter: tuple[tuple[str, str], ...]
    made_at: str
    made_by: tuple[tuple[str, str], ...]
    size: int
    root: bytes
    entries: int
    payloads: PayloadCounts
    batches: int
    left_out: tuple[LeftOut, ...]
    complete_objects: bool
    files: tuple[FileListed, ...]

    def chosen(self, name: str) -> str | None:
        """What the filter says under `name`: `report`, `subject`, `from`, ..."""
        return dict(self.filter).get(name)

    def encode(self) -> bytes:
        """The one spelling."""
        return canonical.dumps(
            {
                "v": 1,
                "format": FORMAT,
                "origin": self.origin,
                "kind": self.kind,
                "filter": dict(self.filter),
                "made_at": self.made_at,
                "made_by": dict(self.made_by),
                "size": self.size,
                "root": self.root.hex(),
                "entries": self.entries,
                "payloads": _fields(self.payloads),
                "batches": self.batches,
                "left_out": [_fields(each) for each in self.left_out],
                "complete_objects": self.complete_objects,
                "files": [_fields(each) for each in self.files],
            }
        )

    def statement(self, digest: str) -> bytes:
        """The text the statement key signs; `digest` is the SHA-256 of the encoded manifest, in hex."""
        root = base64.b64encode(self.root).decode()
        lines = (NOTE_CONTEXT, self.origin, str(self.size), root, str(self.entries), digest)
        return "".join(f"{line}\n" for line in lines).encode()

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """The manifest spelled by `data`; raises BundleInvalid."""
        try:
            raw = canonical.loads(data)
        except canonical.NotCanonical as err:
            raise BundleInvalid("manifest", str(err)) from err
        if not isinstance(raw, dict) or raw.keys() != _SHAPE.keys():
            raise BundleInvalid("manifest", "members")
        for name, check in _SHAPE.items():
            if not check(raw[name]):
                raise BundleInvalid("manifest", name)
        return cls(
            origin=raw["origin"],
            kind=raw["kind"],
            filter=tuple(sorted(raw["filter"].items())),
            made_at=raw["made_at"],
            made_by=tuple(sorted(raw["made_by"].items())),
            size=raw["size"],
            root=bytes.fromhex(raw["root"]),
            entries=raw["entries"],
            payloads=PayloadCounts(**raw["payloads"]),
            batches=raw["batches"],
            left_out=tuple(LeftOut(**each) for each in raw["left_out"]),
            complete_objects=raw["complete_objects"],
            files=tuple(FileListed(**each) for each in raw["files"]),
        )


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < canonical.MAX_INT


def _text(value: Any) -> bool:
    return type(value) is str and len(value) > 0


def _hex(value: Any) -> bool:
    return type(value) is str and _HEX64.fullmatch(value) is not None


def _words(value: Any) -> bool:
    return type(value) is dict and all(type(each) is str for each in value.values())


def _object(value: Any, shape: Mapping[str, Any]) -> bool:
    return type(value) is dict and value.keys() == shape.keys() and all(shape[k](v) for k, v in value.items())


def _actor(value: Any) -> bool:
    return _words(value) and {"kind", "id"} <= value.keys() <= {"kind", "id", "role"}


def _files(value: Any) -> bool:
    shape = {"name": lambda name: name in LISTED, "bytes": _count, "sha256": _hex}
    if type(value) is not list or not all(_object(each, shape) for each in value):
        return False
    return [each["name"] for each in value] == list(LISTED)


_COUNTS = {"included": _count, "withheld": _count, "shredded": _count}
_LEFT_OUT = {"what": _text, "why": _text, "n": _count}
_SHAPE = {
    "v": lambda value: type(value) is int and value == 1,
    "format": lambda value: value == FORMAT,
    "origin": _text,
    "kind": lambda value: value in KINDS,
    "filter": _words,
    "made_at": _text,
    "made_by": _actor,
    "size": _count,
    "root": _hex,
    "entries": _count,
    "payloads": lambda value: _object(value, _COUNTS),
    "batches": _count,
    "left_out": lambda value: type(value) is list and all(_object(each, _LEFT_OUT) for each in value),
    "complete_objects": lambda value: type(value) is bool,
    "files": _files,
}
