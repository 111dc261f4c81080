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
_decode = json.JSONDecoder(parse_float=str, parse_constant=str, parse_int=_whole).raw_decode  # others are respelled
_how: Any = (None, repr, json.encoder.encode_basestring, None, ":", ",", True, False, False)
_chunks = json.encoder.c_make_encoder(*_how)  # type: ignore[attr-defined]  # `JSONEncoder` makes it anew for each value
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])"
_LEAP = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29"


class Refused(Exception):
    """The input cannot be used. Exit 2."""

    def __init__(self, code: str, detail: object = "", step: str = "", position: Any = None, entry: Any = None) -> None:
        super().__init__(code, detail)
        self.step, self.code, self.detail, self.position, self.entry = step, code, str(detail), position, entry


class Wrong(Refused):
    """Something does not hold: a step and a class of README 10. Exit 1."""

    def __init__(self, step: str, code: str, detail: object = "", position: Any = None, entry: Any = None) -> None:
        super().__init__(code, detail, step, position, entry)


def parse(data: bytes, *wrong: str) -> Any:
    """The value whose one spelling is `data`; raises Refused (given a class) or Wrong (given step and class)."""
    try:
        value = _decode(text := data.decode())[0]
        if "".join(_chunks(value, 0)) != text or not (text.isascii() or unicodedata.is_normalized("NFC", text)):
            raise ValueError("not the one spelling")
    except (ValueError, RecursionError) as err:
        kind: Any = Wrong if len(wrong) > 1 else Refused
        raise kind(*wrong, str(err)[:100]) from err
    return value


def instant(text: str) -> int:
    """A time of the record in microseconds since 1970; raises ValueError when there is no such day."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


def stamp(microseconds: int) -> str:
    """The time of the record that this is; what no calendar has stands before or behind all that are."""
    try:
        return f"{(_EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec='microseconds')[:26]}Z"
    except OverflowError:
        return "" if microseconds < 0 else "~"


def _like(pattern: str) -> Check:
    match = re.compile(pattern).fullmatch
    return lambda value: type(value) is str and match(value) is not None


PATTERNS = {
    "time": rf"(?!0000)([0-9]{{4}}-({_DAY})|{_LEAP})T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{{6}}Z",
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "hash": r"[0-9a-f]{64}",
    "b64": r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)?",
    "code": r"[A-Za-z0-9_.:@/-]{1,128}",
    "word": r"[a-z0-9_]{1,64}",
    "type": r"[a-z_]{1,64}\.[a-z_]{1,64}",
    "purpose": "treatment|safety|patient_request|operations|quality|research|audit|legal|break_glass",
}
CHECKS: dict[str, Check] = {name: _like(pattern) for name, pattern in PATTERNS.items()} | {
    "one": lambda value: type(value) is int and value == 1,
    "count": lambda value: type(value) is int and 0 <= value < 2**53,
    "version": lambda value: value is None or (type(value) is int and 1 <= value < 2**53),
    "flag": lambda value: type(value) is bool,
    "string": lambda value: type(value) is str,
    "texts": lambda value: type(value) is dict and all(type(each) is str for each in value.values()),
    "text": lambda value: type(value) is str and 0 < len(value) <= 1024,
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


SHAPES = {
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
    "heads.jsonl": "entry:uuid leaf:hash version:count",
    "payloads.jsonl": "entry:uuid salt:hash body:string",
    "batches.jsonl": "entry:uuid rows:b64[]",
    "assertions.jsonl": "entry:uuid record:string content:string! content_salt:hash! nonce:b64 client_data:b64"
    " authenticator_data:b64 signature:b64 public_key:b64 credential_id:b64",
    "thing": "type:word id:text version:version",
    "record": "v:one type:type object:thing subject:hash! meaning:text account:text name_shown:text content:hash",
}
for _name, _said in SHAPES.items():
    CHECKS[_name] = _shape(_said)
