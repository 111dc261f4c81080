"""Many tampers and as many clean logs, judged by the offline verifier as an auditor runs it; the counts.

An attack is *found* when the verifier ends with 1 (wrong) or 2 (no such file), *reported* when it ends with 3 (so many
entries unwitnessed, a receipt still open): then it vouches for nothing it did not see. Ending with 0 is *undetected*.
Reported is enough only where nobody had seen what was touched, or where a part of the log was exported: a full export
of a log that lies about what the quorum has seen must end with 1 or 2.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from audit.verify.__main__ import main as verify

from . import fresh, history, spellings
from .forging import Attack, bundle, zipped
from .history import Operation
from .weaker import chain_only
from .world import Record, World, grown, policy

OPERATIONS: dict[str, tuple[Operation, ...]] = {
    name: (operation,) for each in (history, fresh, spellings) for name, operation in each.OPERATIONS.items()
}
OPERATIONS["T20"] += (spellings.unwitnessed,)
OPERATIONS["T21"] += (fresh.changed_signature,)
NAMES = tuple(sorted(OPERATIONS, key=lambda name: int(name[1:])))
CONTROLS = ("chain only", "no witness", "no receipts")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the verifier ended, and the class it named."""

    exit: int
    code: str
    unwitnessed: int = 0


class Auditor:
    """Runs the verifier in this process, with what the auditor holds: a policy, receipts, a remembered head."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._policies = {True: folder / "policy", False: folder / "believing"}
        for witnessed, path in self._policies.items():
            path.write_bytes(policy(witnessed=witnessed))

    def judge(self, file: bytes, **held: Any) -> Verdict:
        """The verdict on one file."""
        said = self.report(file, **held)
        unwitnessed = said.get("entries", {}).get("unwitnessed", 0)
        return Verdict(said["exit"], (said["failure"] or {}).get("class", ""), unwitnessed)

    def report(
        self, file: bytes, *, receipts: Sequence[bytes] = (), seen: bytes = b"", witnessed: bool = True
    ) -> dict[str, Any]:
        """What the verifier says of one file."""
        (self.folder / "bundle.zip").write_bytes(file)
        arguments = [str(self.folder / "bundle.zip"), "--policy", str(self._policies[witnessed]), "--json"]
        if receipts:
            lines = "".join(json.dumps({"receipt": each.decode()}) + "\n" for each in receipts)
            (self.folder / "receipts").write_text(lines, encoding="utf-8")
            arguments += ["--receipts", str(self.folder / "receipts")]
        if seen:
            (self.folder / "seen").write_bytes(seen)
            arguments += ["--seen", str(self.folder / "seen")]
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = verify(arguments)
        said: dict[str, Any] = json.loads(out.getvalue())
        assert said["exit"] == code, said
        return said

    def full(self, attack: Attack) -> Verdict:
        """With everything the auditor holds."""
        return self.judge(zipped(attack.members, deflated=attack.deflated), receipts=attack.receipts, seen=attack.seen)

    def controls(self, attack: Attack) -> dict[str, bool]:
        """What those who believe too much find."""
        file = zipped(attack.members)
        return {
            "chain only": chain_only(attack.members),
            "no witness": self.judge(file, witnessed=False).exit in {1, 2},
            "no receipts": self.judge(file, seen=attack.seen).exit in {1, 2},
        }


@dataclass(slots=True)
class Tally:
    """What came of it, by operation."""

    seed: int
    tried: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    reported: Counter[str] = field(default_factory=Counter)
    undetected: list[str] = field(default_factory=list)
    classes: dict[str, Counter[str]] = field(default_factory=dict)
    controlled: Counter[str] = field(default_factory=Counter)
    by_control: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in CONTROLS})
    clean: int = 0
    false_alarms: list[str] = field(default_factory=list)

    @property
    def n(self) -> int:
        return self.tried.total()

    def found_by(self, control: str) -> int:
        return self.by_control[control].total()

    def add(self, attack: Attack, verdict: Verdict, number: int) -> None:
        """One more."""
        self.tried[attack.name] += 1
        self.classes.setdefault(attack.name, Counter())[verdict.code or f"exit {verdict.exit}"] += 1
        must_be_found = attack.everything and attack.where in {"covered", "fresh", "copy"}
        if verdict.exit in {1, 2}:
            self.found[attack.name] += 1
        elif verdict.exit == 3 and not must_be_found:
            self.reported[attack.name] += 1
        else:
            self.undetected.append(f"{attack.name} #{number} (seed {self.seed}): exit {verdict.exit}, {attack.where}")

    def take(self, other: Tally) -> None:
        """What another process counted."""
        for mine, theirs in (
            (self.tried, other.tried),
            (self.found, other.found),
            (self.reported, other.reported),
            (self.controlled, other.controlled),
            *((self.by_control[name], other.by_control[name]) for name in CONTROLS),
        ):
            mine.update(theirs)
        for name, classes in other.classes.items():
            self.classes.setdefault(name, Counter()).update(classes)
        self.undetected += other.undetected
        self.false_alarms += other.false_alarms
        self.clean += other.clean

    def table(self) -> str:
        """The counts, for people."""
        found, reported, missed = self.found.total(), self.reported.total(), len(self.undetected)
        lines = [f"{self.n} tampers, seed {self.seed}: {found} found, {reported} reported, {missed} undetected"]
        lines.append(f"  {self.clean} honest logs: {len(self.false_alarms)} false alarms")
        if not self.n:
            return lines[-1].strip()
        controlled = self.controlled.total()
        for control in CONTROLS:
            share = 100 * self.found_by(control) / controlled if controlled else 0.0
            missed = controlled - self.found_by(control)
            lines.append(
                f"  {control}: finds {self.found_by(control)} of {controlled} ({share:.1f} %), misses {missed}"
            )
        for name in NAMES:
            beside = ", ".join(f"{c} {self.by_control[c][name]}/{self.controlled[name]}" for c in CONTROLS)
            lines.append(
                f"  {name}: {self.found[name]} found, {self.reported[name]} reported of {self.tried[name]}; {beside}"
            )
        return "\n".join(lines)


def worlds(seed: int, sizes: Sequence[int]) -> list[World]:
    """Honest logs, every second one with a tail that nobody has seen."""
    made = []
    for number, size in enumerate(sizes):
        dice = random.Random(f"{seed}/world/{number}")
        made.append(grown(dice, size, tail=dice.randrange(8, 25) if number % 2 else 0, share=12 / size))
    return made


def attacks(pool: Sequence[World], numbers: Iterable[int], seed: int) -> Iterator[tuple[int, Attack]]:
    """The attacks of these numbers: the operations in turn, everything else by the dice of seed and number."""
    with_tail = [world for world in pool if world.covered < len(world.records)]
    for number in numbers:
        name = NAMES[number % len(NAMES)]
        dice = random.Random(f"{seed}/{number}")
        operation = dice.choice(OPERATIONS[name])
        yield number, operation(dice.choice(with_tail if name == "T22" else pool), dice)


def tampered(tally: Tally, pool: Sequence[World], numbers: Iterable[int], *, folder: Path, every: int = 1) -> None:
    """Try the attacks of these numbers; the believing verifiers on every `every`th round of operations."""
    auditor = Auditor(folder)
    for number, attack in attacks(pool, numbers, tally.seed):
        tally.add(attack, auditor.full(attack), number)
        if (number // len(NAMES)) % every == 0:
            tally.controlled[attack.name] += 1
            for control, found in auditor.controls(attack).items():
                tally.by_control[control][attack.name] += found


def clean(tally: Tally, numbers: Iterable[int], *, folder: Path, sizes: range) -> None:
    """As many honest logs, each its own: whole, or one patient's part of it, with and without an unwitnessed tail."""
    auditor = Auditor(folder)
    for number in numbers:
        dice = random.Random(f"{tally.seed}/clean/{number}")
        tail = dice.choice((0, 0, dice.randrange(1, 9)))
        world = grown(dice, dice.choice(sizes), tail=tail, share=0.2)
        chosen = of_patient(world, dice) if dice.random() < 0.3 else None
        kind = "everything" if chosen is None else "patient"
        receipts = [each for position, each in world.receipts.items() if chosen is None or position in chosen]
        verdict = auditor.judge(zipped(bundle(world, chosen=chosen, kind=kind)), receipts=receipts, seen=world.seen)
        beyond = [n for n in (range(len(world.records)) if chosen is None else chosen) if n >= world.covered]
        tally.clean += 1
        if verdict != Verdict(3 if beyond else 0, "", len(beyond)):
            tally.false_alarms.append(f"#{number} (seed {tally.seed}): {verdict}, {len(beyond)} beyond")


def of_patient(world: World, dice: random.Random) -> list[int]:
    """Every entry about one patient, of every object it belongs to, and what the format asks for beside them."""
    about = {r.entry.get("subject") for r in world.records[5:] if r.entry.get("subject")}
    patient = dice.choice(sorted(about))
    mine = [n for n, record in enumerate(world.records) if record.entry.get("subject") == patient]
    erased = {world.records[n].entry["payload"]["ref"] for n in mine if world.records[n].erased}
    shreds = [n for n, record in enumerate(world.records) if _shreds(record, erased)]
    return sorted({*range(5), *mine, *shreds})


def _shreds(record: Record, erased: set[str]) -> bool:
    entry = record.entry
    return entry["type"] == "payload.shredded" and entry["object"]["id"] in erased


@contextlib.contextmanager
def desk() -> Iterator[Path]:
    """A folder for the auditor's files, in memory where there is one."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)
