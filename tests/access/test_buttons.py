"""A button is shown to whoever would be let in by it, and to nobody else (ROL-01): every page, as every role.

Everybody follows what is shown to them from the start page. What they are shown must let them in; what the table of
permissions lets them do must be shown on some page that they reach, or stand in `ELSEWHERE` with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.access.cast import Cast, Who
from tests.access.crawling import Seen, Shown, crawled
from tests.access.expecting import Asked, Cell, expected, knock
from tests.access.rows import ROWS, Gate, Row
from tests.access.test_matrix import cast  # noqa: F401  (the hospital)
from tests.access.walking import Route, routes

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])
ELSEWHERE = {
    **dict.fromkeys(
        ("account_login", "mfa_authenticate", "passkey-sign-in", "passkey-options", "way-back", "invitation"),
        "before anybody is signed in",
    ),
    **dict.fromkeys(("security-passkey-options", "signing-options"), "asked for by the script of its form"),
    **dict.fromkeys(
        ("oauth2_provider:authorize", "oauth2_provider:token", "oauth2_provider:revoke-token"), "by a phone"
    ),
    "security-remove": "the last second factor stays, and has no button",
    "security-recovery-codes": "with a second factor of their own",
    "security-end-session": "with a second session: this one ends by signing out",
    "break-glass-end": "in the session in which the record was opened",
    "record-export-file": "once the export is written",
    "second-review-verdict": "once they have read the case themself",
    "model-release": "once it has its approvals",
    "model-approve": "who registered it approves nothing, nor who approved it already",
    "patient-boundary-waiting": "while a boundary is put forward",
    "first-answer": "for a proposal that was drawn to be decided before it is shown",
    "patient-no-medicines": "while no list of medicines is known: who is on record as taking some has no such form",
    "finding-back": "once its correction is recorded",
}


def people(cast: Cast) -> list[Who]:  # noqa: F811
    """Everybody in a browser with two factors, one of each role, and a clinician of the other team."""
    return [who for who in cast.people if who.by == "session" and who.role is not None and not who.one_factor]


def acts(route: Route, row: Row, who: Who) -> Iterator[Asked]:
    """What this person may do at this address with what is theirs."""
    asked = Asked(route, row, "POST", who, "own" if row.of else "")
    if "POST" in row.needs and row.gate in (Gate.STAFF, Gate.OWN) and expected(asked) is Cell.LET_IN:
        yield asked


def shut(answer: object) -> bool:
    """Whether somebody was not let in."""
    status = answer.status_code  # type: ignore[attr-defined]
    return status in (403, 404, 405)


def lies(cast: Cast, who: Who, seen: Seen) -> list[str]:  # noqa: F811
    """Forms and links that do not let in whom they are shown to."""
    found = [f"{who.name} is led to {broken}" for broken in seen.broken]
    for one in seen.shown.values():
        if one.method != "POST" or not one.route or one.route == "account_logout":
            continue
        answer = knock(cast, who, "POST", one.where, dict(one.sends))
        within = ROWS[one.route].within if one.route in ROWS else frozenset()
        if shut(answer) and answer.status_code not in within:
            found.append(f"{who.name} on {one.on}: the form to {one.where} is answered {answer.status_code}")
    return found


def hidden(who: Who, seen: Seen) -> list[str]:
    """What this person may do, and finds no form for."""
    shown = {one.route for one in seen.shown.values() if one.method == "POST"} | {
        one.route for one in seen.shown.values() if one.method == "GET" and "GET" in _methods(one)
    }
    return [
        f"{who.name}: {row.name}"
        for route in routes()
        if (row := ROWS.get(route.name)) is not None and row.name not in ELSEWHERE
        for _ in acts(route, row, who)
        if row.name not in shown and not row.within  # those need another person: who may is the act's to say
    ]


def _methods(one: Shown) -> tuple[str, ...]:
    """A link to a page that holds the form of the same address is the way to it."""
    row = ROWS.get(one.route)
    return tuple(row.needs) if row is not None and "POST" in row.needs and "GET" in row.needs else ()


@pytest.mark.timeout(590)
def test_what_is_shown_lets_in_and_what_lets_in_is_shown(cast):  # noqa: F811
    wrong, pages, forms = [], 0, 0
    for who in people(cast):
        seen = crawled(cast, who)
        pages, forms = pages + len(seen.pages), forms + sum(one.method == "POST" for one in seen.shown.values())
        wrong += lies(cast, who, seen) + hidden(who, seen)
    print(f"buttons: {len(people(cast))} people, {pages} pages, {forms} forms")
    assert wrong == [], "\n".join(wrong)
    assert pages > 150
    assert forms > 100
