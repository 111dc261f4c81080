"""People of a site for tests, made on the legal road: founded, invited, accepted."""

from datetime import UTC, datetime
from itertools import count
from uuid import UUID

from governance.domain import Role
from governance.models import User
from governance.services import Acting, acting_person
from governance.services.accounts import NewAccount, accept_invitation, found_site, invite
from tests.signing_in import signing

PASSWORD = "a long river runs north"
_numbers = count(1)


def now() -> datetime:
    """The clock, for people who came some time ago."""
    return datetime.now(UTC)


def account(username: str = "", **more: str) -> NewAccount:
    """What somebody chooses when joining."""
    name = username or f"person{next(_numbers)}"
    given = {"given_name": name.title(), "family_name": "Example", "password": PASSWORD} | more
    return NewAccount(username=name, **given)


def founded(at: datetime) -> User:
    """The first administrator of the site."""
    return found_site(account(f"admin{next(_numbers)}"), now=at)


def acting(user: User, at: datetime) -> Acting:
    """This person, acting now, who signs what they are asked to sign."""
    return signing(acting_person(user, now=at))


def staff(role: Role, *, by: User, at: datetime) -> User:
    """A member of staff, invited and joined."""
    invited = invite(f"{role}@example.org", role, by=acting(by, at), now=at)
    user, _ = accept_invitation(invited.token, account(f"{role.value}{next(_numbers)}"), now=at)
    return user


def invited_to(record: UUID, role: Role, *, by: User, at: datetime) -> str:
    """The token of an invitation to a record."""
    return invite(f"{role}@example.org", role, by=acting(by, at), now=at, patient_ref=record).token
