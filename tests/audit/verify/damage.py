"""How a case of README 10 is made, kept and looked at. The liar here holds our database and all our keys.

Each case damages a good log or bundle and signs again what we could sign, so that only one check can see it.
"""

import json

import pytest

from audit.verify.__main__ import in_words
from tests.audit.verify.judging import found, judge
from tests.audit.verify.maker import Log, note, spell, usual


class Cases(list):
    """The cases of a module: each makes (bundle, log), (bundle, log, files) or (bundle, log, files, policy)."""

    def __call__(self, exit_status: int, name: str):
        def keep(make):
            self.append(pytest.param(make, exit_status, name, id=f"{name}-{make.__name__}"))
            return make

        return keep


def look(where, make, exit_status: int, name: str) -> None:
    """The case is found by that class: in the report, and in the words for people."""
    bundle, log, *more = make()
    files = more[0] if more else {}
    report = judge(where, bundle, more[1] if len(more) > 1 else log, **files)
    assert found(report) == (exit_status, name), report["failure"]
    assert report["result"] == ("wrong" if exit_status == 1 else "unusable")
    failure, last = report["failure"], in_words(report).splitlines()[-1]
    place = "" if failure["position"] is None else f" at position {failure['position']}"
    assert last.startswith(f"{report['result'].upper()}{place}: {failure['step']} {name}: ")
    assert (failure["step"] == "") == (exit_status == 2)
    assert last.isascii()
    assert last.isprintable()


def rows(members: dict[str, bytes], name: str) -> list[dict]:
    return [json.loads(line) for line in members[f"{name}.jsonl"].splitlines()]


def with_rows(log: Log, members: dict[str, bytes], name: str, lines: list[dict], **said) -> dict[str, bytes]:
    return log.resigned(members | {f"{name}.jsonl": b"".join(spell(line) + b"\n" for line in lines)}, **said)


def first_row(name: str, change, **how):
    """The usual bundle with the first row of a member changed, and the manifest signed again."""
    log = usual()
    members = log.members(**how)
    lines = rows(members, name)
    lines[0] |= change(lines[0]) if callable(change) else change
    return with_rows(log, members, name, lines), log


def renoted(log: Log, size: int, text: bytes | None = None, signers=None, witnesses=("w1", "w2")) -> None:
    """The checkpoint of a size, said and signed anew."""
    text = log.head(size) if text is None else text
    at = int(log.now.timestamp())
    lines = [each.line(text) for each in (signers if signers is not None else log.log_keys)]
    lines += [log.witnesses[name].cosign(text, at) for name in witnesses]
    log.checkpoints[size]["note"] = note(text, *lines).decode()


def put(change=None, encoded=None) -> tuple:
    """A log that holds one entry as the liar wants it, with everything signed over it by log and witnesses."""
    log = usual()
    entry = json.loads(log.encoded[6]) | {"id": "019ca945-00ff-7000-8000-0000000000ff"}
    entry = change(entry) if change else entry
    log.put(entry, encoded(entry) if encoded else None)
    log.checkpoint()
    return log.members(), log
