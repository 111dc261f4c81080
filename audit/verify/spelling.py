"""What can be found (README 10), canonical JSON (README 2), and the shapes of what is written in it (README 3, 7, 8).

* A value has one spelling; bytes that are not the spelling of what they parse to are refused. That one comparison
  refuses white space, other escapes and key orders, double keys and a byte order mark.
* A shape names every member an object may have; `name?` may be absent, `check!` may be null. Nothing else may be there.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

Check = Callable[[Any], bool]
_whole = lambda text: int(text) if len(text) < 18 and abs(int(text)) < 2**53 else text  # noqa: E731
_decode = json.JSONDecoder(parse_float=str, parse_constant=str, parse_int=_whole).decode  # others are respelled
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z")


class Refused(Exception):
    """The input cannot be used. Exit 2."""

    step: str = ""
    position: int | None = None
    entry: str | None = None

    def __init__(self, code: str, detail: object = "") -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, str(detail)


class Wrong(Refused):
    """Something does not hold: a step and a class of README 10. Exit 1."""

    def __init__(self, step: str, code: str, detail: object = "", position: Any = None, entry: Any = None) -> None:
        super().__init__(code, detail)
        self.step, self.position, self.entry = step, position, entry


class Malformed(ValueError):
    """The bytes are not a canonical value within the limits."""


def parse(data: bytes, *wrong: str) -> Any:
    """The value whose one spelling is `data`; raises Malformed, or with what is given Refused or Wrong."""
    try:
        value = _decode(text := data.decode())
        if _encode(value) != text or not unicodedata.is_normalized("NFC", text):
            raise Malformed("not the one spelling")
    except (ValueError, RecursionError) as err:
        kinds: Any = (Malformed, Refused, Wrong)
        raise kinds[len(wrong)](*wrong, str(err)[:100]) from err
    return value


def instant(text: str) -> int:
    """A time of the record in microseconds since 1970; raises ValueError when there is no such day."""
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _like(pattern: str) -> Check:
    match = re.compile(pattern).fullmatch
    return lambda value: type(value) is str and match(value) is not None


def _time(value: Any) -> bool:
    try:
        return type(value) is str and _STAMP.fullmatch(value) is not None and instant(value) is not None
    except ValueError:
        return False


CHECKS: dict[str, Check] = {
    "one": lambda value: type(value) is int and value == 1,
    "count": lambda value: type(value) is int and 0 <= value < 2**53,
    "version": lambda value: value is None or (type(value) is int and 1 <= value < 2**53),
    "flag": lambda value: type(value) is bool,
    "string": lambda value: type(value) is str,
    "texts": lambda value: type(value) is dict and all(type(each) is str for each in value.values()),
    "text": lambda value: type(value) is str and 0 < len(value) <= 1024,
    "time": _time,
    "uuid": _like(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    "hash": _like(r"[0-9a-f]{64}"),
    "b64": _like(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)?"),
    "code": _like(r"[A-Za-z0-9_.:@/-]{1,128}"),
    "word": _like(r"[a-z0-9_]{1,64}"),
    "type": _like(r"[a-z_]{1,64}\.[a-z_]{1,64}"),
    "purpose": _like("treatment|safety|patient_request|operations|quality|research|audit|legal|break_glass"),
}


def _check(name: str) -> Check:
    if name.startswith("="):
        return _like(name[1:])
    inner = CHECKS[name.rstrip("![]")]
    if name.endswith("!"):
        return lambda value: value is None or inner(value)
    return (lambda value: type(value) is list and all(map(inner, value))) if name.endswith("[]") else inner


def _shape(said: str) -> Check:
    pairs = [part.split(":") for part in said.split()]
    every = {name.rstrip("?"): _check(check) for name, check in pairs}
    must = frozenset(name for name, _ in pairs if not name.endswith("?"))

    def fits(value: Any) -> bool:
        fitting = type(value) is dict and must <= value.keys() <= every.keys()
        return fitting and all(every[name](item) for name, item in value.items())

    return fits


for _name, _said in {
    "actor": "kind:=user|device|service|model id:text role?:code org?:text session?:hash amr?:code[] auth_time?:time"
    " key_id?:text",
    "object": "type:word id:text version:version prev:hash!",
    "software": "release:text image_sha256?:hash",
    "behalf": "kind:=client id:text",
    "change": "fields:code[] before?:hash after?:hash",
    "payload": "commit:hash ref:uuid alg?:code dek_id?:text",
    "model": "id:text version:text artifact_sha256?:hash config_sha256?:hash data_snapshot?:text policy_version?:text",
    "cap": "name:code asked:text given:text unit:text",
    "limits": "caps:cap[] reasons:code[]",
    "esign": "meaning:text record:hash method:code assertion_sha256?:hash key_id?:text name_shown?:text",
    "req": "id?:text idem?:text route?:text ip_prefix?:text trace?:text",
    "cause": "id:uuid",
    "entry": "v:one id:uuid type:type occurred_at:time at:time actor:actor purpose:purpose object:object"
    " outcome:=ok|denied|error sw:software on_behalf_of?:behalf break_glass_id?:text subject?:hash reason_code?:code "
    " change?:change payload?:payload model?:model limits?:limits esign?:esign req?:req cause?:cause",
    "file": "name:string bytes:count sha256:hash",
    "left": "what:string why:string n:count",
    "shown": "included:count withheld:count shredded:count",
    "maker": "kind:string id:string role?:string",
    "manifest": "v:one format:string origin:string kind:=everything|patient|model|person|period|decision filter:texts"
    " made_at:time made_by:maker size:count root:hash entries:count payloads:shown batches:count left_out:left[]"
    " complete_objects:flag files:file[]",
    "checkpoints.jsonl": "size:count note:string timestamp?:b64",
    "rest.jsonl": "start:count end:count hash:hash",
    "payloads.jsonl": "entry:uuid salt:hash body:string",
    "batches.jsonl": "entry:uuid rows:b64[]",
    "assertions.jsonl": "entry:uuid record:string content:string! content_salt:hash! nonce:b64 client_data:b64"
    " authenticator_data:b64 signature:b64 public_key:b64 credential_id:b64",
    "thing": "type:word id:text version:version",
    "record": "v:one type:type object:thing subject:hash! meaning:text account:text name_shown:text content:hash",
}.items():
    CHECKS[_name] = _shape(_said)
