"""Whose word is taken for the log: the policy file, given out of band, and whether a checkpoint meets it.

The rules (C2SP tlog-policy)
 * One definition a line, words parted by spaces or tabs; "#" begins a comment line. `log <vkey> [url]`,
   `witness <name> <vkey> [url]`, `group <name> <k|any|all> <member>...`, and exactly one `quorum <name|none>`.
 * Names are defined once, before they are used, and stand in at most one group: each witness counts in one way.
 * A log's key is named like its origin. A checkpoint counts when one of the logs signed it and the quorum cosigned it.
What we add (SECURITY 3.1, 3.2)
 * `statement <vkey>`: the key of receipts and of export manifests. It may stand more than once, for rotation.
 * One public key has one part to play. A witness that is also the log, or is listed under two names, would let the
   holder of one key answer for two: such a file is refused. So is one that is not UTF-8 or longer than 64 KiB.
 * A copy of a policy that travels with what it is to judge is never trusted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

from audit import notes
from audit.notes import NoteInvalid, TreeHead, VerifierKey, WitnessKey

MAX_POLICY = 65_536
MAX_LINES = 64
"""How many logs, witnesses, groups and statement keys each a file may define."""
NONE = "none"
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_GAP = re.compile("[ \t]+")
_NUMBER = re.compile("[1-9][0-9]{0,3}")


AnyKey = TypeVar("AnyKey", VerifierKey, WitnessKey)


class PolicyInvalid(ValueError):
    """The file is no policy; `code` says which rule it breaks and `line` where (from 1; 0: the file as a whole)."""

    def __init__(self, code: str, line: int = 0) -> None:
        super().__init__(f"{code}, line {line}" if line else code)
        self.code = code
        self.line = line


@dataclass(frozen=True, slots=True)
class Log:
    """A log whose checkpoints are accepted; its key's name is its origin."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness by its name in the policy; `url` is where it takes checkpoints (tlog-witness submission prefix)."""

    name: str
    key: WitnessKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A group has witnessed what at least `threshold` of its members have witnessed."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole file. `quorum` names a witness or a group, or is None where no cosignature is asked for."""

    logs: tuple[Log, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str | None
    statements: tuple[VerifierKey, ...] = ()

    def log_keys(self, origin: str) -> tuple[VerifierKey, ...]:
        """The keys that may sign for this origin: more than one while a key is being replaced."""
        return tuple(log.key for log in self.logs if log.key.name == origin)

    def asked(self) -> tuple[Witness, ...]:
        """The witnesses the quorum is made of, in the file's order."""
        groups = {group.name: group.members for group in self.groups}

        def below(name: str) -> Iterator[str]:
            return chain.from_iterable(below(member) for member in groups[name]) if name in groups else iter((name,))

        names = set(below(self.quorum)) if self.quorum is not None else set()
        return tuple(witness for witness in self.witnesses if witness.name in names)


@dataclass(frozen=True, slots=True)
class Quorum:
    """Whether a checkpoint meets the policy.

    `who` are the asked witnesses that cosigned; `when` the POSIX second at which enough of them had, None when too few
    have or none is asked for; `text` says it for people: "2 of 3".
    """

    met: bool
    who: tuple[str, ...]
    when: int | None
    text: str


# --- judging ----------------------------------------------------------------------------------------------------------


def satisfied(note: bytes, policy: Policy) -> Quorum:
    """Who cosigned the checkpoint in `note`, and whether that is the quorum.

    Raises NoteInvalid when the note is malformed, is no checkpoint, is not signed by a log of the policy (where it
    names any), or carries a bad signature by a key the policy knows.
    """
    head = TreeHead.parse(notes.parse(note).text)
    if policy.logs:
        notes.open_checkpoint(note, origin=head.origin, keys=policy.log_keys(head.origin))
    found = notes.cosignatures(note, witnesses=[witness.key for witness in policy.witnesses])
    return judged({seen.witness: seen.at for seen in found}, policy)


def judged(times: Mapping[WitnessKey, int], policy: Policy) -> Quorum:
    """The quorum from verified cosignatures, each with its POSIX second."""
    asked = policy.asked()
    who = tuple(witness.name for witness in asked if witness.key in times)
    if policy.quorum is None:
        return Quorum(met=True, who=(), when=None, text="none asked for")
    when = _since(policy, {witness.name: times.get(witness.key) for witness in asked})
    return Quorum(when is not None, who, when, f"{len(who)} of {len(asked)}")


def _since(policy: Policy, times: dict[str, int | None]) -> int | None:
    """Since when the quorum has witnessed; groups are in the order of their definition, members before groups."""
    for group in policy.groups:
        seen = sorted(at for member in group.members if (at := times.get(member)) is not None)
        times[group.name] = seen[group.threshold - 1] if len(seen) >= group.threshold else None
    return times.get(policy.quorum or NONE)


# --- reading and writing ----------------------------------------------------------------------------------------------


def parse(data: bytes) -> Policy:
    """The policy in a file's bytes; raises PolicyInvalid."""
    if len(data) > MAX_POLICY:
        raise PolicyInvalid("too-long")
    reader = _Reader()
    for number, raw in enumerate(data.split(b"\n"), start=1):
        if _CONTROL.search(raw):
            raise PolicyInvalid("control-character", number)
        try:
            line = raw.decode("utf-8").strip(" \t")
        except UnicodeDecodeError as err:
            raise PolicyInvalid("not-utf8", number) from err
        if line and not line.startswith("#"):
            try:
                reader.take(_GAP.split(line))
            except NoteInvalid as err:
                raise PolicyInvalid("key", number) from err
            except PolicyInvalid as err:
                raise PolicyInvalid(err.code, number) from err
    return reader.policy()


def render(policy: Policy) -> str:
    """The file that reads back as this policy."""
    lines = [f"log {log.key}{_url(log.url)}" for log in policy.logs]
    lines += [f"statement {key}" for key in policy.statements]
    lines += [f"witness {witness.name} {witness.key}{_url(witness.url)}" for witness in policy.witnesses]
    lines += [f"group {group.name} {group.threshold} {' '.join(group.members)}" for group in policy.groups]
    return "\n".join([*lines, f"quorum {policy.quorum or NONE}", ""])


def _url(url: str | None) -> str:
    return f" {url}" if url else ""


@dataclass(slots=True)
class _Reader:
    """What has been read so far. Its methods are the lines a policy may have."""

    logs: list[Log] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    statements: list[VerifierKey] = field(default_factory=list)
    quorums: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    grouped: set[str] = field(default_factory=set)
    publics: set[bytes] = field(default_factory=set)

    def take(self, words: list[str]) -> None:
        """Read one definition."""
        lines: dict[str, tuple[range, Callable[..., None]]] = {
            "log": (range(1, 3), self._log),
            "witness": (range(2, 4), self._witness),
            "group": (range(3, 3 + MAX_LINES), self._group),
            "quorum": (range(1, 2), self._quorum),
            "statement": (range(1, 2), self._statement),
        }
        word, *rest = words
        if word not in lines:
            raise PolicyInvalid("unknown-line")
        lengths, read = lines[word]
        if len(rest) not in lengths:
            raise PolicyInvalid(word)
        read(*rest)
        if any(len(each) > MAX_LINES for each in (self.logs, self.witnesses, self.groups, self.statements)):
            raise PolicyInvalid("too-many")

    def policy(self) -> Policy:
        """The whole; raises PolicyInvalid unless exactly one quorum was named."""
        if len(self.quorums) != 1:
            raise PolicyInvalid("one-quorum")
        quorum = None if self.quorums[0] == NONE else self.quorums[0]
        return Policy(tuple(self.logs), tuple(self.witnesses), tuple(self.groups), quorum, tuple(self.statements))

    def _log(self, vkey: str, url: str | None = None) -> None:
        self.logs.append(Log(self._one_part(VerifierKey.parse(vkey)), url))

    def _statement(self, vkey: str) -> None:
        self.statements.append(self._one_part(VerifierKey.parse(vkey)))

    def _witness(self, name: str, vkey: str, url: str | None = None) -> None:
        self._define(name)
        self.witnesses.append(Witness(name, self._one_part(WitnessKey.parse(vkey)), url))

    def _group(self, name: str, least: str, *members: str) -> None:
        self._known(members)
        if len(set(members)) < len(members) or self.grouped & set(members):
            raise PolicyInvalid("member-twice")
        threshold = {"any": 1, "all": len(members)}.get(least)
        if threshold is None:
            if _NUMBER.fullmatch(least) is None or int(least) > len(members):
                raise PolicyInvalid("threshold")
            threshold = int(least)
        self._define(name)
        self.grouped.update(members)
        self.groups.append(Group(name, threshold, members))

    def _quorum(self, name: str) -> None:
        if name != NONE:
            self._known((name,))
        self.quorums.append(name)

    def _define(self, name: str) -> None:
        if name == NONE or name in self.names:
            raise PolicyInvalid("name-taken")
        self.names.add(name)

    def _known(self, names: Iterable[str]) -> None:
        if not self.names >= set(names):
            raise PolicyInvalid("unknown-name")

    def _one_part(self, key: AnyKey) -> AnyKey:
        if key.public in self.publics:
            raise PolicyInvalid("key-twice")
        self.publics.add(key.public)
        return key
