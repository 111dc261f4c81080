"""Credentials are enrolled by their owner, confirmed by another, used once where they are for once, and ended."""

import json
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from audit.models import Pending
from edge_wearables.simulators.authenticator import SoftKey
from governance.domain import BadInput, Method, NotAllowed, NotFound, Role
from governance.models import Credential, CredentialConfirmed, FailedAttempt, RecoveryCode
from governance.policies import factor_rules, step_of
from governance.services.codes import CodeNotTaken, code_at, draw_secret, right_code
from governance.services.credentials import (
    ConfirmedAlready,
    LastCredential,
    confirm,
    confirm_by_ceremony,
    draw_recovery_codes,
    enrol_code,
    live,
    may_sign,
    revoke,
    waiting_to_be_confirmed,
)
from governance.services.passkeys import PasskeyNotTaken, creation_options, request_options
from governance.services.recognising import by_code, by_passkey
from governance.services.roles import answer_role, ask_for_role
from governance.services.ways_back import WayBackOver, come_back, open_way_back
from tests.governance.people import PASSWORD, acting, founded, now, staff
from tests.signing_in import HOST, enrolled, key_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    return founded(now() - timedelta(days=3))


@pytest.fixture
def other(admin):
    return staff(Role.ADMINISTRATOR, by=admin, at=now() - timedelta(days=2))


@pytest.fixture
def clinician(admin):
    return staff(Role.CLINICIAN, by=admin, at=now() - timedelta(days=2))


def entries(kind):
    leaves = (json.loads(bytes(leaf).split(b"\n", 2)[2]) for leaf in Pending.objects.values_list("leaf", flat=True))
    return [leaf for leaf in leaves if leaf["type"] == kind]


def asked(user):
    """A challenge for one of this person's passkeys."""
    return request_options(list(live(user, Method.WEBAUTHN)), place=HOST)


def test_enrolling_and_ending_a_passkey_are_entries_on_its_own_chain(clinician):
    key_of(clinician)
    row = live(clinician).get()
    assert len(row.public_key) > 90
    assert row.aaguid == "c1141a10-5e53-4f74-8e00-000000000001"
    (entry,) = entries("credential.enrolled")
    assert (entry["object"]["id"], entry["object"]["version"]) == (str(row.pk), 1)
    key = SoftKey(seed="second", place=HOST, origin=f"https://{HOST}")
    enrolled(clinician, key, now=now())
    revoke(row.pk, by=acting(clinician, now()), now=now())
    (ended,) = entries("credential.revoked")
    assert (ended["object"]["id"], ended["object"]["version"], ended["reason_code"]) == (str(row.pk), 2, "by_owner")
    assert not live(clinician).filter(pk=row.pk).exists()


def test_a_credential_signs_once_another_person_has_confirmed_whose_it_is(clinician, admin, other):
    key_of(clinician)
    row = live(clinician).get()
    assert list(waiting_to_be_confirmed()) == [row]
    assert not may_sign(row)
    with pytest.raises(NotAllowed):
        confirm(row.pk, by=acting(clinician, now()), now=now())
    confirm(row.pk, by=acting(other, now()), now=now())
    assert may_sign(row)
    assert list(waiting_to_be_confirmed()) == []
    with pytest.raises(ConfirmedAlready):
        confirm(row.pk, by=acting(admin, now()), now=now())


def test_nobody_confirms_their_own_not_even_an_administrator_nor_the_tables(admin):
    key_of(admin)
    row = live(admin).get()
    with pytest.raises(NotAllowed):
        confirm(row.pk, by=acting(admin, now()), now=now())
    with pytest.raises(DatabaseError), transaction.atomic():
        CredentialConfirmed.objects.create(
            credential=row, owner=admin, by=admin, ceremony=False, at=now(), entry=row.entry
        )


def test_the_ceremony_is_the_first_administrators_and_is_held_once(admin, other):
    key_of(admin)
    key_of(other)
    mine, theirs = live(admin).get(), live(other).get()
    with pytest.raises(NotAllowed):
        confirm_by_ceremony(theirs.pk, witnesses=("Ann",), by=acting(other, now()), now=now())
    with pytest.raises(BadInput):
        confirm_by_ceremony(mine.pk, witnesses=(" ",), by=acting(admin, now()), now=now())
    confirm_by_ceremony(mine.pk, witnesses=("Ann", "Ben"), by=acting(admin, now()), now=now())
    assert may_sign(mine)
    again = enrolled(admin, SoftKey(seed="again", place=HOST, origin=f"https://{HOST}"), now=now())
    with pytest.raises(ConfirmedAlready):
        confirm_by_ceremony(again.pk, witnesses=("Ann",), by=acting(admin, now()), now=now())


def test_who_opened_the_way_back_does_not_confirm_what_came_of_it(clinician, admin, other):
    """Otherwise one administrator alone could become anybody (21 CFR 11.200(a)(3))."""
    key_of(clinician)
    lost = live(clinician).get()
    opened = open_way_back(clinician.pk, reason="lost the phone; known by face", by=acting(admin, now()), now=now())
    assert not live(clinician).exists()
    assert not may_sign(lost)
    come_back(opened.token, "another long river runs", now=now())
    with pytest.raises(WayBackOver):
        come_back(opened.token, "another long river runs", now=now())
    new = enrolled(clinician, SoftKey(seed="new", place=HOST, origin=f"https://{HOST}"), now=now())
    with pytest.raises(NotAllowed):
        confirm(new.pk, by=acting(admin, now()), now=now())
    confirm(new.pk, by=acting(other, now()), now=now())
    with pytest.raises(NotAllowed):
        open_way_back(admin.pk, reason="mine", by=acting(admin, now()), now=now())
    with pytest.raises(NotAllowed):
        open_way_back(admin.pk, reason="theirs", by=acting(clinician, now()), now=now())


def test_a_way_back_ends_after_its_time_and_keeps_the_old_password_out(clinician, admin):
    at = now()
    opened = open_way_back(clinician.pk, reason="lost", by=acting(admin, at), now=at)
    with pytest.raises(WayBackOver):
        come_back(opened.token, "another long river runs", now=at + factor_rules().return_lives)
    user = come_back(opened.token, "another long river runs", now=at)
    assert user.check_password("another long river runs")
    assert not user.check_password(PASSWORD)


def test_a_code_counts_in_its_own_step_and_once(clinician):
    secret, at = draw_secret(), now() - timedelta(minutes=5)
    enrol_code(secret, code_at(secret, step_of(at)), by=acting(clinician, at), now=at)
    later = at + timedelta(minutes=1)
    code = code_at(secret, step_of(later))
    for off in (-30, 30):
        if code_at(secret, step_of(later + timedelta(seconds=off))) != code:
            assert right_code(secret, code, now=later + timedelta(seconds=off)) is None
    assert by_code(clinician, f"{code[:3]} {code[3:]}", now=later).amr == "otp"
    refused = 0
    for _ in range(4):
        with pytest.raises(CodeNotTaken):
            by_code(clinician, code, now=later)
        refused += 1
    assert refused == FailedAttempt.objects.count() == 4


def test_the_codes_are_those_of_the_standard():
    """RFC 6238 appendix B, SHA-1, the last six of its eight digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (20000000000, "353130")):
        assert code_at(secret, seconds // 30) == code


def test_a_secret_is_not_in_the_table_and_does_not_open_from_another_row(clinician):
    from governance.domain import Fault
    from governance.services.codes import show_secret

    secret, at = draw_secret(), now()
    row = enrol_code(secret, code_at(secret, step_of(at)), by=acting(clinician, at), now=at)
    assert secret not in row.secret
    assert show_secret(row.secret, key=str(row.pk)) == secret
    with pytest.raises(Fault):
        show_secret(row.secret, key=str(clinician.pk))


def test_a_secret_does_not_open_by_the_secret_key_alone_and_one_of_before_still_does(clinician, settings):
    """Whoever has the tables and SECRET_KEY has no codes: they need the site's sealing keys."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from governance.services import codes

    secret, at = draw_secret(), now()
    row = enrol_code(secret, code_at(secret, step_of(at)), by=acting(clinician, at), now=at)
    settings.SECRET_KEY = "another"
    assert codes.show_secret(row.secret, key=str(row.pk)) == secret
    settings.SECRET_KEY = "the one of before"
    derived = codes._derived(settings.SECRET_KEY, b"clinaiops/totp/v1")
    nonce = b"0" * 12
    old = codes.base64.urlsafe_b64encode(nonce + AESGCM(derived).encrypt(nonce, secret.encode(), b"row"))
    assert codes.show_secret(old.decode(), key="row") == secret


def test_recovery_codes_open_once_each_and_a_new_sheet_voids_the_old(clinician):
    key_of(clinician)
    by = acting(clinician, now())
    sheet = draw_recovery_codes(by=by, now=now())
    assert len(set(sheet.codes)) == factor_rules().recovery_codes
    assert not RecoveryCode.objects.filter(digest__in=sheet.codes).exists()
    assert by_code(clinician, sheet.codes[0].lower().replace("-", " "), now=now()).amr == "recovery_code"
    with pytest.raises(CodeNotTaken):
        by_code(clinician, sheet.codes[0], now=now())
    draw_recovery_codes(by=by, now=now())
    with pytest.raises(CodeNotTaken):
        by_code(clinician, sheet.codes[1], now=now())


def test_a_passkey_must_have_verified_its_user(clinician):
    lazy = SoftKey(seed="lazy", place=HOST, origin=f"https://{HOST}", verifies=False)
    options, state = creation_options(clinician, [], place=HOST)
    from governance.services.credentials import enrol_passkey

    with pytest.raises(PasskeyNotTaken):
        enrol_passkey(lazy.create(options), state, name="x", place=HOST, by=acting(clinician, now()), now=now())
    key = key_of(clinician)
    options, state = asked(clinician)
    assert by_passkey(key.get(options), state, place=HOST, now=now()).user == clinician
    key.verifies = False
    options, state = asked(clinician)
    with pytest.raises(PasskeyNotTaken):
        by_passkey(key.get(options), state, place=HOST, now=now())


@pytest.mark.parametrize("bad", ["place", "origin", "challenge", "key", "signature", "revoked", "owner"])
def test_an_assertion_for_anything_else_is_refused(clinician, other, bad):
    key = key_of(clinician)
    options, state = asked(clinician)
    user = None
    if bad == "place":
        key.place = "elsewhere.example"
    if bad == "origin":
        key.origin = "https://elsewhere.example"
    if bad == "challenge":
        _, state = asked(clinician)
    if bad == "owner":
        user = other
    answer = key.get(options)
    if bad == "key":
        stranger = SoftKey(seed="stranger", place=HOST, origin=f"https://{HOST}")
        answer["response"] = stranger.get(options)["response"]
    if bad == "signature":
        answer["response"]["signature"] = answer["response"]["signature"][:-6] + "AAAAAA"
    if bad == "revoked":
        enrolled(clinician, SoftKey(seed="second", place=HOST, origin=f"https://{HOST}"), now=now())
        revoke(live(clinician).first().pk, by=acting(clinician, now()), now=now())
    with pytest.raises(PasskeyNotTaken):
        by_passkey(answer, state, place=HOST, now=now(), user=user)


def test_a_copied_passkey_is_noticed_by_its_counter(clinician):
    key = key_of(clinician)
    key.counts = True
    for _ in range(2):
        options, state = asked(clinician)
        by_passkey(key.get(options), state, place=HOST, now=now())
    key.counter -= 2  # the copy has not seen what the original signed
    options, state = asked(clinician)
    with pytest.raises(PasskeyNotTaken, match="copied"):
        by_passkey(key.get(options), state, place=HOST, now=now())
    assert FailedAttempt.objects.get().what == "passkey_counter"


def test_staff_keep_one_second_factor(clinician):
    key_of(clinician)
    with pytest.raises(LastCredential):
        revoke(live(clinician).get().pk, by=acting(clinician, now()), now=now())
    with pytest.raises(NotFound):
        revoke(clinician.pk, by=acting(clinician, now()), now=now())


def test_a_passkey_is_enrolled_once(clinician, other):
    key = key_of(clinician)
    with pytest.raises(BadInput):
        enrolled(other, key, now=now())


def test_credentials_only_grow(clinician):
    key_of(clinician)
    row = live(clinician).get()
    for change in ({"public_key": "x"}, {"user": clinician}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Credential.objects.filter(pk=row.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        row.delete()


def test_a_role_more_needs_another_person(clinician, admin, other):
    wanted = ask_for_role(clinician.pk, Role.AUDITOR, reason="reviews", by=acting(admin, now()), now=now())
    for who in (admin, clinician):
        with pytest.raises(NotAllowed):
            answer_role(wanted.pk, grant=True, by=acting(who, now()), now=now())
    answer_role(wanted.pk, grant=False, by=acting(other, now()), now=now())
    assert acting(clinician, now()).standing.roles == {Role.CLINICIAN}
    with pytest.raises(NotFound):
        answer_role(wanted.pk, grant=True, by=acting(other, now()), now=now())
