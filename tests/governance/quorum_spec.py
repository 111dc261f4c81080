"""What a quorum must say, as a table a clinician can read, and the check that an implementation says it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

from governance import quorum as real
from governance import quorum_rules
from governance.domain import STAFF_ROLES, NotAllowed, Refusal, Role

NOON = datetime(2026, 3, 30, 12, 0, tzinfo=UTC)
C, P, Q, E = Role.CLINICIAN, Role.PHARMACIST, Role.COMPLIANCE_OFFICER, Role.ML_ENGINEER
# In no order of theirs: who is listed, and under which role, does not hang on how they were found.
HELD = {
    "gus": (E, Q), "eve": (Q,), "ben": (C,), "dan": (P, C), "ann": (C,), "cyd": (P,), "fay": (),
}  # fmt: skip
RULES = {
    "one and one": (({C}, 1), ({P}, 1)),
    "two of two": (({C, P}, 2),),
    "two and one": (({C, E}, 2), ({Q}, 1)),
    "nobody": (),
}

# The rule | the author | approvals as who:role, a star where of another digest | what is so now | the state | missing |
# who may approve, with the role that would count
SPEC = """
one and one | ann |                              |              | open    | clinician*1 pharmacist*1 | ben:clinician cyd:pharmacist dan:clinician
one and one | eve |                              |              | open    | clinician*1 pharmacist*1 | ann:clinician ben:clinician cyd:pharmacist dan:clinician
one and one | ann | ben:clinician                |              | open    | pharmacist*1             | cyd:pharmacist dan:pharmacist
one and one | ann | cyd:pharmacist               |              | open    | clinician*1              | ben:clinician dan:clinician
one and one | eve | ann:clinician ben:clinician  |              | open    | pharmacist*1             | cyd:pharmacist dan:pharmacist
one and one | ann | ben:clinician cyd:pharmacist |              | met     |                          |
one and one | ann | dan:pharmacist ben:clinician |              | met     |                          |
one and one | ann | dan:clinician dan:pharmacist |              | open    | pharmacist*1             | cyd:pharmacist
one and one | ann | ann:clinician cyd:pharmacist |              | open    | clinician*1              | ben:clinician dan:clinician
one and one | ann | ben:clinician* cyd:pharmacist |             | open    | clinician*1              | dan:clinician
one and one | ann | ben:clinician* ben:clinician cyd:pharmacist | | met   |                          |
one and one | ann | fay:clinician cyd:pharmacist |              | open    | clinician*1              | ben:clinician dan:clinician
one and one | ann | zoe:clinician cyd:pharmacist |              | open    | clinician*1              | ben:clinician dan:clinician
one and one | ann | ben:pharmacist               |              | open    | clinician*1 pharmacist*1 | cyd:pharmacist dan:clinician
two of two  | ann | ben:clinician                |              | open    | clinician+pharmacist*1   | cyd:pharmacist dan:clinician
two of two  | eve | ann:clinician ben:clinician  |              | met     |                          |
two of two  | eve | ann:clinician ben:clinician cyd:pharmacist | | met    |                          |
two of two  | ann |                              |              | open    | clinician+pharmacist*2   | ben:clinician cyd:pharmacist dan:clinician
two and one | cyd | ann:clinician gus:compliance_officer |      | open    | clinician+ml_engineer*1  | ben:clinician dan:clinician
two and one | cyd | ann:clinician                |              | open    | clinician+ml_engineer*1 compliance_officer*1 | ben:clinician dan:clinician eve:compliance_officer gus:compliance_officer
nobody      | ann |                              |              | met     |                          |
one and one | ann |                              | time 6d23h   | open    | clinician*1 pharmacist*1 | ben:clinician cyd:pharmacist dan:clinician
one and one | ann |                              | time 7d      | expired | clinician*1 pharmacist*1 |
one and one | ann | ben:clinician cyd:pharmacist | time 7d      | expired |                          |
one and one | ann | ben:clinician cyd:pharmacist | time 8d      | expired |                          |
one and one | ann | ben:clinician cyd:pharmacist | other digest | void    |                          |
one and one | ann |                              | other digest | void    | clinician*1 pharmacist*1 |
one and one | ann | ben:clinician cyd:pharmacist | other seats  | void    |                          |
one and one | ann | ben:clinician cyd:pharmacist | other lives  | void    |                          |
one and one | ann | ben:clinician cyd:pharmacist | other id     | met     |                          |
one and one | ann |                              | other digest, time 8d | void | clinician*1 pharmacist*1 |
one and one | ann | ben:clinician cyd:pharmacist | withdrawn    | withdrawn |                        |
one and one | ann | ben:clinician cyd:pharmacist | refused      | refused |                          |
one and one | ann | ben:clinician cyd:pharmacist | carried_out  | carried_out |                      |
one and one | ann | ben:clinician                | void         | void    | pharmacist*1             |
one and one | ann | ben:clinician cyd:pharmacist | withdrawn, other digest | withdrawn |             |
one and one | ann | ben:clinician cyd:pharmacist | carried_out, time 8d | carried_out |              |
"""
LINES = [[cell.strip() for cell in line.split("|")] for line in SPEC.strip("\n").splitlines()]

# Who tries | wanting | on which line of the table above | the refusal, or the role
TRIES = """
ann | any        | 0  | not_allowed second_person
ben | any        | 0  | clinician
dan | pharmacist | 0  | pharmacist
dan | clinician  | 0  | clinician
ben | pharmacist | 0  | not_allowed role
eve | any        | 0  | not_allowed role
fay | any        | 0  | not_allowed role
zoe | any        | 0  | not_allowed role
ben | any        | 2  | approved_already
dan | any        | 2  | pharmacist
ann | any        | 2  | not_allowed second_person
cyd | any        | 5  | motion_over
eve | any        | 5  | motion_over
ben | any        | 9  | approved_already
ben | any        | 22 | motion_expired
ann | any        | 22 | motion_expired
ben | any        | 26 | motion_void
ben | any        | 31 | motion_over
ben | any        | 32 | motion_over
ben | any        | 33 | motion_over
cyd | any        | 34 | motion_over
"""
TRIED = [[cell.strip() for cell in line.split("|")] for line in TRIES.strip("\n").splitlines()]


def rule_of(name: str, module: ModuleType = real):
    """A rule of the cases."""
    seats = tuple(module.Seat(frozenset(roles), count) for roles, count in RULES[name])
    return module.QuorumRule(name, module.QuorumAct.POLICY, "", seats, timedelta(days=7))


def case(line: list[str], module: ModuleType = real):
    """The motion, its approvals and what is so now."""
    name, author, approvals, so, *_ = line
    rule, digest, at, now_rule, ended = rule_of(name, module), "d" * 64, NOON, rule_of(name, module), None
    for each in filter(None, (part.strip() for part in so.split(","))):
        match each.split():
            case ["time", text]:
                at = (
                    NOON
                    + {"6d23h": timedelta(days=7, hours=-1), "7d": timedelta(days=7), "8d": timedelta(days=8)}[text]
                )
            case ["other", "digest"]:
                digest = "e" * 64
            case ["other", "seats"]:
                now_rule = module.QuorumRule("x", module.QuorumAct.POLICY, "", rule.seats[:1], rule.lives)
            case ["other", "lives"]:
                now_rule = module.QuorumRule("x", module.QuorumAct.POLICY, "", rule.seats, timedelta(days=6))
            case ["other", "id"]:
                now_rule = module.QuorumRule("x", module.QuorumAct.KEY, "y", rule.seats, rule.lives)
            case [word]:
                ended = module.MotionStatus(word)
    given = []
    for who, _, role in (each.partition(":") for each in approvals.split()):
        given.append(module.Given(who, Role(role.rstrip("*")), ("e" if role.endswith("*") else "d") * 64))
    put = module.Put(author, "d" * 64, rule, NOON + timedelta(days=7), ended)
    return put, given, module.Now(digest, now_rule, HELD, at)


def said(state) -> tuple[str, str]:
    """The status, and the missing seats in words."""
    missing = (f"{'+'.join(sorted(seat.roles))}*{seat.count}" for seat in state.missing)
    return state.status.value, " ".join(missing)


def disagreements(module: ModuleType = real) -> list[str]:
    """Where an implementation says something else than the table."""
    return [*_states(module), *_tries(module)]


def _states(module: ModuleType) -> list[str]:
    found = []
    for number, line in enumerate(LINES):
        put, given, now = case(line, module)
        status, missing, who = line[4:]
        state = module.standing(put, given, now=now)
        if said(state) != (status, missing) or state.met is not (status == "met"):
            found.append(f"{number}: {said(state)}")
        if {each.approver for each in state.counted} != _counts(line):
            found.append(f"{number}: counted {state.counted}")
        may = " ".join(f"{each}:{role.value}" for each, role in module.may_approve(put, given, now=now))
        if may != who:
            found.append(f"{number}: {may}")
    return found


def _counts(line: list[str]) -> set[str]:
    """Of whom an approval counts: another than the author, of this digest, under a role that they hold."""
    given = (each.partition(":") for each in line[2].split() if not each.endswith("*"))
    return {who for who, _, role in given if who != line[1] and Role(role) in HELD.get(who, ())}


def _tries(module: ModuleType) -> list[str]:
    found = []
    for who, wanting, number, answer in TRIED:
        put, given, now = case(LINES[int(number)], module)
        wanted = None if wanting == "any" else Role(wanting)
        try:
            came = module.check_may_approve(put, given, who=who, wanted=wanted, now=now).value
        except NotAllowed as refusal:
            came = f"{refusal.code} {refusal.extra['missing']}"
        except Refusal as refusal:
            came = refusal.code
        if came != answer:
            found.append(f"{who} on {number}: {came}")
    return found


# -- the reader of the rules -------------------------------------------------------------------------------------------

DATA = Path(real.__file__).parent / "data" / "quorum_rules.json"
SHARED = '"roles": ["pharmacist"], "count": 1'
# What may not stand in the file, and what it is put in place of.
WRONG = (
    ('"table": "quorum_rules"', '"table": "rules"'),
    ('"version": "2026-11-22"', '"version": ""'),
    ('"mark": "proposal"', '"mark": "maybe"'),
    ('"words": "', '"words": "", "was": "'),
    ('"citation": "', '"citation": "", "was": "'),
    (SHARED, '"roles": ["pharmacist"], "count": 0'),
    (SHARED, '"roles": ["clinician"], "count": 1'),
    (SHARED, '"roles": ["patient"], "count": 1'),
    (SHARED, '"roles": [], "count": 1'),
    ('[{"roles": ["pharmacist"], "count": 1}], "lives_days": 7', '[], "lives_days": 7'),
    ('"seats": []', '"seats": [{"roles": ["pharmacist"], "count": 1}]'),
    ('"lives_days": 7', '"lives_days": 0'),
    ('"act": "finding"', '"act": "key"'),
    ('"act": "finding", "of": [""]', '"act": "policy", "of": ["other"]'),
    ('"of": ["gate_thresholds"]', '"of": ["targets"]'),
    ('"id": "finding"', '"id": "key"'),
)


def disagreements_of_reader(module: ModuleType = quorum_rules) -> list[str]:
    """Where a reader of the rules takes what it may not, or lets a site ask for fewer people."""
    data = DATA.read_bytes()
    table, found = module.parse(data), []
    said = {(row.rule_id, row.act, row.of, row.seats, row.lives) for row in table.rows}
    if said != {(row.rule_id, row.act, row.of, row.seats, row.lives) for row in quorum_rules.shipped().rows}:
        found.append("the table as shipped")
    for old, new in WRONG:
        assert old.encode() in data, old
        found += [] if _refused(module, data.replace(old.encode(), new.encode(), 1)) else [f"read: {new}"]
    anybody = ", ".join(f'"{role}"' for role in sorted(STAFF_ROLES))
    everybody = data.replace(SHARED.encode(), f'"roles": [{anybody}], "count": 1'.encode())
    alone = everybody.replace(b'[{"roles": ["clinician"], "count": 1}, {', b"[{")
    found += ["all of the staff in one seat"] if _refused(module, alone) else []
    one_day = module.parse(data.replace(b'"lives_days": 7', b'"lives_days": 1', 1))
    found += [] if one_day.rule(real.QuorumAct.BOUNDARY).lives == timedelta(days=1) else ["a day"]
    for row in table.rows:
        for of in row.of:
            rule = table.rule(row.act, of)
            if module.rule_of(module.described(rule)) != rule or (rule.of, rule.rule_id) != (of, row.rule_id):
                found.append(f"{row.rule_id} {of}")
    more = table.with_more({"policy_clinical": Q, "boundary": P})
    care, boundary = more.rule(real.QuorumAct.POLICY, "targets"), more.rule(real.QuorumAct.BOUNDARY)
    asked = [(sorted(seat.roles), seat.count) for seat in (*care.seats, *boundary.seats)]
    found += [] if asked == [([C], 1), ([P], 1), ([Q], 1), ([P], 2)] else [f"more: {asked}"]
    left = [row for row in more.rows if row.rule_id not in ("policy_clinical", "boundary")]
    found += [] if all(row in table.rows for row in left) and len(more.rows) == len(table.rows) else ["the others"]
    both = table.with_more({"policy_quorum": Q}).rule(real.QuorumAct.POLICY, "quorum_rules").seats
    found += [] if [(len(s.roles), s.count) for s in both] == [(1, 1), (2, 2)] else [f"both: {both}"]
    return found


def _refused(module: ModuleType, data: bytes) -> bool:
    try:
        module.parse(data)
    except (ValueError, StopIteration):
        return True
    return False
