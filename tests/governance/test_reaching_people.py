"""How people are reached: their own addresses, messages that go out once, and what becomes of each."""

import hashlib
import hmac
import json
import re
import smtplib
import uuid
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from audit.services import sequence_until_empty
from governance.channels import Channel, NoticeKind, channel_rules, checked_address, words
from governance.domain import BadInput, NotFound, Role
from governance.models import ContactPoint, Notice, NoticeTry
from governance.selectors import notices as seen
from governance.selectors.notices import contact_points
from governance.services import acting_job
from governance.services.channels import AddressRefused, Unreachable, send
from governance.services.contacts import CodeOver, add_contact, confirm_contact, end_contact
from governance.services.notices import claim, delivered, plan, receipt_fits, send_due, try_channels
from tests.audit.builders import first_bad
from tests.governance.neighbours import post_office, push_service, sms_gateway
from tests.governance.people import acting, founded, now, staff

pytestmark = pytest.mark.django_db
JOB = acting_job("send-notices", "run-1")
NUMBER = "+4930123456"


@pytest.fixture
def admin():
    return founded(now() - timedelta(days=3))


@pytest.fixture
def clinician(admin):
    return staff(Role.CLINICIAN, by=admin, at=now() - timedelta(days=2))


@pytest.fixture
def office(settings):
    with post_office() as there:
        settings.CHANNEL_FILE = ""
        settings.CHANNEL_EMAIL_URL = f"smtp+plain://127.0.0.1:{there.port}/?from=ward@site.example"
        yield there


@pytest.fixture
def gateway(settings):
    with sms_gateway() as there:
        settings.CHANNEL_FILE = ""
        settings.CHANNEL_SMS_URL, settings.CHANNEL_SMS_TOKEN = there.url, there.token
        yield there


def reached_by_sms(user, gateway, at):
    """An address that counts: the code that the gateway took came back."""
    point = add_contact(Channel.SMS, NUMBER, by=acting(user, at), now=at)
    code = re.search(r"\d{6}", list(gateway.messages.values())[-1]["text"])[0]
    gateway.messages.clear()
    return confirm_contact(point.pk, code, by=acting(user, at), now=at)


def planned(user, at, *, about="alert-1", level=0, kind=NoticeKind.ALERT):
    with transaction.atomic():
        return plan(kind, about, [user.pk], grave="critical", level=level, by=JOB, now=at)


# -- addresses ---------------------------------------------------------------------------------------------------------


def test_an_address_counts_once_its_code_came_back(clinician, office):
    at = now()
    point = add_contact(Channel.EMAIL, "ada@site.example", by=acting(clinician, at), now=at)
    assert planned(clinician, at) == 0  # not confirmed: nothing goes there
    (letter,) = office.letters
    code = re.search(r"\d{6}", letter.get_content())[0]
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    with pytest.raises(CodeOver):
        confirm_contact(point.pk, wrong, by=acting(clinician, at), now=at)
    assert confirm_contact(point.pk, code, by=acting(clinician, at), now=at).confirmed_at == at
    assert planned(clinician, at) == 1


def test_a_code_is_guessed_at_few_times_and_not_for_long(clinician, gateway):
    at = now()
    rules = channel_rules()
    point = add_contact(Channel.SMS, NUMBER, by=acting(clinician, at), now=at)
    code = re.search(r"\d{6}", next(iter(gateway.messages.values()))["text"])[0]
    with pytest.raises(CodeOver):
        confirm_contact(point.pk, code, by=acting(clinician, at), now=at + rules.code_lives)
    for _ in range(rules.code_attempts):
        with pytest.raises(CodeOver):
            confirm_contact(point.pk, "x", by=acting(clinician, at), now=at)
    with pytest.raises(CodeOver):  # the right one, too late
        confirm_contact(point.pk, code, by=acting(clinician, at), now=at)


def test_an_address_is_its_persons_alone_and_lies_sealed(clinician, admin, gateway):
    at = now()
    point = reached_by_sms(clinician, gateway, at)
    assert [said for _, said in contact_points(clinician.pk)] == [NUMBER]
    assert contact_points(admin.pk) == []
    with pytest.raises(NotFound):
        end_contact(point.pk, by=acting(admin, at), now=at)
    with connection.cursor() as cursor:
        cursor.execute("SELECT c::text FROM governance_contactpoint c")
        assert NUMBER.encode().hex() not in cursor.fetchone()[0]
        cursor.execute("SELECT %s::bytea::text", [NUMBER.encode()])  # what is looked for would be found so
        assert NUMBER.encode().hex() in cursor.fetchone()[0]


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        (Channel.EMAIL, "nobody"),
        (Channel.EMAIL, "a@b.example\nBcc: c@d.example"),
        (Channel.SMS, "030 123456"),
        (Channel.SMS, "+49"),
        (Channel.PUSH, "https://inside.example/admin"),
        (Channel.PUSH, "http://push.example/x"),
        (Channel.PUSH, "https://user@push.example/x"),
        (Channel.PUSH, "https://push.example@inside.example/x"),
        (Channel.PUSH, "https://push.example:8443/x"),
        (Channel.PUSH, "https://push.example/\nHost: x"),
    ],
)
def test_what_is_no_address_is_refused_by_name(channel, address):
    with pytest.raises(BadInput) as refused:
        checked_address(channel, address, push_hosts=frozenset({"push.example"}))
    assert refused.value.extra["field"] == "address"


def test_a_number_is_kept_in_one_form():
    assert checked_address(Channel.SMS, " +49 (30) 123-456 ", push_hosts=frozenset()) == NUMBER


def test_an_address_that_its_provider_refuses_never_counts(clinician, office):
    office.unknown.add("ada@site.example")
    with pytest.raises(BadInput):
        add_contact(Channel.EMAIL, "ada@site.example", by=acting(clinician, now()), now=now())
    assert contact_points(clinician.pk) == []


# -- what is said ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(NoticeKind))
def test_a_message_fits_one_sms_and_says_nothing_of_anybody(kind):
    said = words(kind, grave="critical", level=2, place="https://a-hospital-with-a-long-name.example/")
    assert len(said) <= 160
    assert said.startswith("ClinAIOps: ")


# -- going out ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])
def test_a_planned_message_goes_out_once_under_its_own_key(clinician, gateway):
    at = now()
    reached_by_sms(clinician, gateway, at)
    assert planned(clinician, at) == 1
    assert planned(clinician, at) == 0  # the same step again
    assert send_due(by=JOB, now=at).accepted == 1
    assert send_due(by=JOB, now=at + timedelta(days=1)).accepted == 0
    (row,) = Notice.objects.all()
    assert list(gateway.messages) == [str(row.pk)]
    assert "critical" in gateway.messages[str(row.pk)]["text"]
    assert row.state == "accepted"
    sequence_until_empty()
    assert first_bad() is None


def test_a_letter_says_who_sends_it_and_that_a_machine_does(clinician, office):
    send(Channel.EMAIL, "ada@site.example", "ClinAIOps: look.", key="k-1", urgent=True, now=now())
    (letter,) = office.letters
    assert (letter["From"], letter["Message-ID"]) == ("ward@site.example", "<k-1@site.example>")
    assert letter["Auto-Submitted"] == "auto-generated"


def test_a_phone_is_woken_without_a_word_and_proves_who_wakes_it(settings):
    settings.CHANNEL_FILE, settings.CHANNEL_PUSH_CONTACT = "", "mailto:ward@site.example"
    settings.CHANNEL_PUSH_HOSTS = ["127.0.0.1"]
    with push_service() as service:
        send(Channel.PUSH, service.address, "never sent", key=str(uuid.uuid4()), urgent=True, now=now())
        assert service.taken[0]["Urgency"] == "high"
        service.gone = True
        with pytest.raises(AddressRefused):
            send(Channel.PUSH, service.address, "", key="k", urgent=True, now=now())


@pytest.mark.parametrize(
    ("status", "wanted"), [(500, Unreachable), (429, Unreachable), (401, Unreachable), (422, AddressRefused)]
)
def test_what_a_gateway_answers_is_again_or_never(gateway, status, wanted):
    gateway.answers = lambda _: status
    with pytest.raises(wanted):
        send(Channel.SMS, NUMBER, "x", key="k", urgent=False, now=now())


def test_nothing_goes_out_over_a_channel_that_is_not_configured(settings):
    settings.CHANNEL_FILE = settings.CHANNEL_EMAIL_URL = settings.CHANNEL_SMS_URL = ""
    settings.CHANNEL_PUSH_HOSTS = []
    with pytest.raises(Unreachable, match="not-configured"):
        send(Channel.SMS, NUMBER, "x", key="k", urgent=False, now=now())


def test_while_a_gateway_is_away_it_is_tried_later_each_time_and_then_fails_by_name(clinician, gateway):
    at, rules = now(), channel_rules()
    reached_by_sms(clinician, gateway, at)
    planned(clinician, at)
    gateway.answers = lambda _: 503
    waits, clock = [], at
    for _ in range(rules.attempts - 1):
        assert send_due(by=JOB, now=clock).later == 1
        due = Notice.objects.get().next_try_at
        waits.append(due - clock)
        assert send_due(by=JOB, now=due - timedelta(microseconds=1)).later == 0
        clock = due
    assert waits == [rules.retry_after * 2**n for n in range(rules.attempts - 1)]
    assert send_due(by=JOB, now=clock).failed == 1
    assert Notice.objects.get().state == "failed"
    assert NoticeTry.objects.filter(outcome="unreachable").count() == rules.attempts


def test_a_sender_killed_after_the_gateway_took_it_leads_to_one_message(clinician, gateway):
    at = now()
    reached_by_sms(clinician, gateway, at)
    planned(clinician, at)

    row = Notice.objects.get()
    claimed = claim(now=at)  # the first half of a round; the second never comes
    send(Channel.SMS, NUMBER, "x", key=str(claimed.pk), urgent=True, now=now())
    assert send_due(by=JOB, now=at).accepted == 0  # leased: nobody else takes it for a while
    lease = timedelta(seconds=3 * channel_rules().timeout_s)
    assert send_due(by=JOB, now=at + lease).accepted == 1
    assert list(gateway.messages) == [str(row.pk)]
    assert [t.outcome for t in NoticeTry.objects.order_by("pk")] == ["begun", "begun", "accepted"]


def test_an_address_that_ended_meanwhile_gets_nothing(clinician, gateway):
    at = now()
    point = reached_by_sms(clinician, gateway, at)
    planned(clinician, at)
    end_contact(point.pk, by=acting(clinician, at), now=at)
    assert send_due(by=JOB, now=at).failed == 1
    assert gateway.messages == {}


# -- receipts and tests ------------------------------------------------------------------------------------------------


def test_a_receipt_of_the_gateway_moves_what_was_taken_to_what_arrived(clinician, gateway):
    at = now()
    reached_by_sms(clinician, gateway, at)
    planned(clinician, at)
    send_due(by=JOB, now=at)
    row = Notice.objects.get()
    for _ in range(2):  # twice is once
        delivered(f"sms-{row.pk}", by=JOB, now=at)
    row.refresh_from_db()
    assert row.state == "delivered"
    with pytest.raises(NotFound):
        delivered("sms-of-somebody-else", by=JOB, now=at)


def test_a_receipt_counts_only_with_the_shared_token(settings):
    settings.CHANNEL_SMS_TOKEN = "a token"
    body = json.dumps({"id": "sms-1"}).encode()
    made = hmac.new(b"a token", body, hashlib.sha256).hexdigest()
    assert receipt_fits(body, made)
    assert not receipt_fits(body + b" ", made)
    settings.CHANNEL_SMS_TOKEN = ""
    assert not receipt_fits(body, hmac.new(b"", body, hashlib.sha256).hexdigest())


def test_over_its_address_a_receipt_is_taken_read_or_refused(client, clinician, gateway):
    at = now()
    reached_by_sms(clinician, gateway, at)
    planned(clinician, at)
    send_due(by=JOB, now=at)
    row = Notice.objects.get()

    def tell(body: bytes, *, token: str = "a token"):  # noqa: S107
        made = hmac.new(token.encode(), body, hashlib.sha256).hexdigest()
        said = {"content_type": "application/json", "headers": {"X-Signature": made}}
        return client.post("/channels/sms/receipts/", body, **said).status_code

    arrived = json.dumps({"id": f"sms-{row.pk}", "status": "delivered"}).encode()
    assert tell(arrived, token="another") == 403
    assert tell(json.dumps({"id": f"sms-{row.pk}", "status": "queued"}).encode()) == 204
    row.refresh_from_db()
    assert row.state == "accepted"
    assert [tell(b"{"), tell(b"[]"), tell(b'{"id": 3, "status": "delivered"}'), tell(b" " * 20_000)] == [400] * 4
    assert tell(json.dumps({"id": "sms-x", "status": "delivered"}).encode()) == 404
    assert (tell(arrived), tell(arrived)) == (204, 204)
    row.refresh_from_db()
    assert row.state == "delivered"


def test_a_channel_counts_as_tested_when_a_test_went_through_lately(clinician, gateway):
    at = now()
    reached_by_sms(clinician, gateway, at)
    assert seen.tested_channels(now=at) == {}
    assert try_channels(by=acting(clinician, at), now=at) == 1
    assert seen.tested_channels(now=at) == {}  # planned is not through
    send_due(by=JOB, now=at)
    assert set(seen.tested_channels(now=at)) == {Channel.SMS}
    assert seen.tested_channels(now=at + channel_rules().test_counts + timedelta(seconds=1)) == {}


# -- the database ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE governance_notice SET state = 'accepted'",
        "UPDATE governance_contactpoint SET ended_at = now()",
        "UPDATE governance_contactpoint SET confirmed_at = NULL",
        "UPDATE governance_contactpoint SET user_id = user_id",
        "UPDATE governance_noticetry SET outcome = 'accepted'",
        "DELETE FROM governance_notice",
        "DELETE FROM governance_contactpoint",
    ],
)
def test_by_raw_sql_nothing_moves_without_its_entry(clinician, gateway, statement):
    at = now()
    reached_by_sms(clinician, gateway, at)
    planned(clinician, at)
    with pytest.raises(DatabaseError, match=r"without an entry|permission denied"), transaction.atomic():
        connection.cursor().execute(statement)
    assert ContactPoint.objects.filter(confirmed_at__isnull=False, ended_at__isnull=True).count() == 1


# -- the simulators ----------------------------------------------------------------------------------------------------


def test_the_simulated_post_office_refuses_what_the_protocol_refuses(office):
    with smtplib.SMTP("127.0.0.1", office.port) as line:
        assert line.docmd("RCPT", "TO:<a@b.example>")[0] == 503
        line.ehlo()
        line.mail("ward@site.example")
        assert line.docmd("DATA")[0] == 503
    assert office.letters == []


def test_the_simulated_gateway_takes_nothing_without_the_token(gateway, settings):
    settings.CHANNEL_SMS_TOKEN = "another"
    with pytest.raises(Unreachable, match="sms-401"):
        send(Channel.SMS, NUMBER, "x", key="k", urgent=False, now=now())
    assert gateway.messages == {}
