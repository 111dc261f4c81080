"""The site of the play: its people by invitation, its mode and its predictor each approved by two others.

The site's last word is a policy version whose reason is `PLAYED`: the weeks are over, and a later start only looks.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from care_loops.domain.loops import LoopState
from care_loops.models import Loop
from care_loops.presenters.phone import proposal
from care_loops.services.autonomy import let_it_go_as_far
from care_loops.services.predictors import put_to_work, register_protocols
from care_loops.services.respond import holds_now
from governance.autonomy import Level
from governance.cover import Rung
from governance.domain import Method, Refusal, Role
from governance.models import OnCallShift, PolicyVersion, RoleHeld, User
from governance.policies import step_of
from governance.selectors import site_mode
from governance.selectors.autonomy import earned_in
from governance.services import Acting, acting_person, approve_policy, propose_policy
from governance.services.accounts import NewAccount, accept_invitation, found_site, invite
from governance.services.codes import code_at
from governance.services.credentials import enrol_code, live
from governance.services.rota import add_shift

from ..authenticator import SoftKey
from ..signing import confirmed_key, enrolled_key, hand_of
from .cases import Staff, document, staff

OPENED = "demonstration: synthetic patients, simulated weeks"
PLAYED = "demonstration: the simulated weeks are over"
ROTA_DAYS = 14
BEFORE = timedelta(days=220)  # the site is older than what its patients bring with them


class NotOurs(Refusal):
    """The database holds a site that this play did not found."""

    code = "site_is_not_the_demonstration"


@dataclass(frozen=True, slots=True)
class Site:
    """The founded site: when its weeks begin and end, and its people by user name."""

    starts_at: datetime
    ends_at: datetime
    people: dict[str, User]

    def acting(self, username: str, *, now: datetime) -> Acting:
        """A member of staff, acting at `now`; what they are asked to sign they sign with their software passkey."""
        user = self.people[username]
        return replace(acting_person(user, now=now), hand=hand_of(user, demonstration_key(username)))

    def one(self, role: Role) -> str:
        """The user name of somebody with that role."""
        return next(s.username for s in staff() if s.role is role)

    @property
    def clinicians(self) -> tuple[str, ...]:
        """The clinicians, in their order."""
        return tuple(s.username for s in staff() if s.role is Role.CLINICIAN)


def found(*, weeks: int, now: datetime) -> Site:
    """The site, founded now or before; its weeks end when it was founded. Raises `NotOurs` on anybody else's site."""
    begun = _begun()
    if begun is None and RoleHeld.objects.exists():
        raise NotOurs("This database holds a site already. Give the demonstration a home of its own: CLINAIOPS_HOME.")
    founded_at = begun or now - timedelta(weeks=weeks) - BEFORE
    people = {member.username: _joined(member, now=founded_at) for member in staff()}
    for username, user in people.items():
        _enrolled(username, user, now=founded_at if begun is None else now)
    _confirmed(people, now=founded_at if begun is None else now)
    starts_at = founded_at + BEFORE
    site = Site(starts_at=starts_at, ends_at=_end(starts_at, weeks, now), people=people)
    if not PolicyVersion.objects.filter(reason=OPENED).exists():
        _set_mode(site, reason=OPENED, now=founded_at)
    _predictor(site, now=founded_at)
    return site


def _end(starts_at: datetime, weeks: int, now: datetime) -> datetime:
    """Whole weeks, never beyond now."""
    ends_at = starts_at + timedelta(weeks=weeks)
    if ends_at > now:
        raise NotOurs("This demonstration was begun with fewer weeks. Remove its home to begin another.")
    return ends_at


def is_over() -> bool:
    """Whether the play has been played to its end here."""
    return PolicyVersion.objects.filter(reason=PLAYED).exists()


def is_unfinished() -> bool:
    """Whether a play was begun here and waits to be played to its end."""
    modes = PolicyVersion.objects.filter(kind="operating_mode")
    return modes.filter(reason=OPENED).exists() and not modes.exclude(reason=OPENED).exists()


def close_play(site: Site, *, now: datetime) -> None:
    """Who is on call from here on, and the site's last word."""
    _rota(site, now=now)
    _set_mode(site, reason=PLAYED, now=now)


def _rota(site: Site, *, now: datetime) -> None:
    """The clinicians take turns, a day each; one of them supervises."""
    if OnCallShift.objects.exists():
        return
    by, day = site.acting(site.one(Role.ADMINISTRATOR), now=now), timedelta(days=1)
    turns = [site.people[name].pk for name in site.clinicians]
    for number in range(ROTA_DAYS):
        starts = now + number * day
        add_shift(Rung.ON_CALL, turns[number % len(turns)], starts=starts, ends=starts + day, by=by, now=now)
    for number in range(0, ROTA_DAYS, 7):
        starts = now + number * day
        add_shift(Rung.SUPERVISING, turns[0], starts=starts, ends=starts + 7 * day, by=by, now=now)


def _begun() -> datetime | None:
    """When the play's own administrator took up the role."""
    name = next(s.username for s in staff() if s.role is Role.ADMINISTRATOR)
    held = RoleHeld.objects.filter(user__username=name, role=Role.ADMINISTRATOR.value).order_by("since").first()
    if held is None:
        return None
    others = PolicyVersion.objects.filter(kind="operating_mode").exclude(reason__in=(OPENED, PLAYED))
    ours = held.user.email == email_of(name) and not others.exists()
    return held.since if ours else None


def email_of(username: str) -> str:
    """An address nobody has (RFC 2606)."""
    return f"{username}@hospital.example"


def account(username: str, given: str, family: str) -> NewAccount:
    """An account as its owner would fill it in; the password is everybody's, and printed."""
    password = str(document()["site"]["password"])
    return NewAccount(
        username=username, given_name=given, family_name=family, password=password, email=email_of(username)
    )


def _joined(member: Staff, *, now: datetime) -> User:
    known = User.objects.filter(username=member.username).first()
    if known is not None:
        return known
    new = account(member.username, member.given, member.family)
    if member.role is Role.ADMINISTRATOR:
        return found_site(new, now=now)
    admin = User.objects.get(username=next(s.username for s in staff() if s.role is Role.ADMINISTRATOR))
    invited = invite(new.email, member.role, by=acting_person(admin, now=now), now=now)
    return accept_invitation(invited.token, new, now=now)[0]


def demonstration_secret(username: str) -> str:
    """The secret of this person's code generator: everybody's to know, like the password."""
    return b32encode(hashlib.sha256(f"clinaiops demonstration {username}".encode()).digest()[:20]).decode()


def demonstration_key(username: str) -> SoftKey:
    """This person's software passkey: nobody but the play has a use for it, and it opens no browser."""
    return SoftKey(seed=f"clinaiops demonstration {username}", counts=False)


def demonstration_code(username: str, *, now: datetime) -> str:
    """The code that opens the second step for this member of staff now. Raises `NotOurs` outside the demonstration."""
    if username not in {s.username for s in staff()} or _begun() is None or site_mode(now=now) != "simulation":
        raise NotOurs("Codes are told for the staff of the demonstration only, while the site is in simulation.")
    return code_at(demonstration_secret(username), step_of(now))


def _enrolled(username: str, user: User, *, now: datetime) -> None:
    """Everybody has a software passkey, and a code generator whose secret is known as their password is."""
    enrolled_key(user, demonstration_key(username), now=now)
    if live(user, Method.TOTP).exists():
        return
    secret = demonstration_secret(username)
    enrol_code(secret, code_at(secret, step_of(now)), by=acting_person(user, now=now), now=now)


def _confirmed(people: dict[str, User], *, now: datetime) -> None:
    """The administrator confirms what everybody else signs with; their own passkey by the ceremony of the founding."""
    admin = next(s.username for s in staff() if s.role is Role.ADMINISTRATOR)
    by = acting_person(people[admin], now=now)
    for username, user in people.items():
        for row in live(user, Method.WEBAUTHN, Method.TOTP).filter(confirmed__isnull=True):
            if username != admin or row.method == Method.WEBAUTHN:
                confirmed_key(row, by=by, now=now)


def _set_mode(site: Site, *, reason: str, now: datetime) -> None:
    body = {"mode": "simulation", "patient_directed": True, "stopped": False, "daily_patient_quota": 20}
    by = site.acting(site.one(Role.ADMINISTRATOR), now=now)
    put = propose_policy("operating_mode", "hypertension", body=body, reason=reason, by=by, now=now)
    for username in (site.clinicians[0], site.one(Role.PHARMACIST)):
        approve_policy(put.motion.pk, by=site.acting(username, now=now), now=now)


def _predictor(site: Site, *, now: datetime) -> None:
    versions = register_protocols(by=site.acting(site.one(Role.ML_ENGINEER), now=now), now=now)
    approvers = [site.acting(name, now=now) for name in (site.clinicians[0], site.one(Role.PHARMACIST))]
    put_to_work(versions[0], approvers=approvers, by=approvers[0], now=now)
    if not earned_in(versions[0].digest):
        let_it_go_as_far(versions[0], Level.WITHIN_BOUNDARY, signers=(approvers[0], approvers[1]), now=now)


MOST_NAMED = 6


def where_to_sign_in(*, now: datetime) -> str:
    """Who can sign in, as what, for people who have just started the demonstration."""
    lines = [f"Synthetic people, a site in simulation. Everybody's password: {document()['site']['password']}"]
    lines += ["Staff type a code at the second step: .venv/bin/python manage.py demo_code USERNAME", ""]
    lines += [f"  {s.username:15} {s.role.value.replace('_', ' '):20} {s.given} {s.family}" for s in staff()]
    held = User.objects.filter(roles_held__role=Role.PATIENT.value).distinct()
    patients = sorted(user.username for user in held if user.username.startswith("patient"))
    if patients:
        lines += [f"  {patients[0]} to {patients[-1]:3}   patient"]
    waiting = _who_can_answer(now=now)
    if waiting:
        lines += [f"Patients with something to answer: {', '.join(waiting[:MOST_NAMED])}"]
    return "\n".join([*lines, ""])


def _who_can_answer(*, now: datetime) -> list[str]:
    """User names of the patients who can answer now; what a danger holds waits for nobody."""
    found = set()
    asked = Loop.objects.filter(state__in=[LoopState.WITH_PATIENT.value, LoopState.DELIVERED.value])
    for loop in asked.select_related("patient__account"):
        account = loop.patient.account
        if account is not None and proposal(loop, holds_now(loop.patient, [loop], now=now), now)["waits_for_you"]:
            found.add(account.username)
    return sorted(found)
