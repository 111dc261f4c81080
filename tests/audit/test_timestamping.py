"""Timestamp tokens: asked once an hour where a site names an authority, kept only when an auditor would accept them."""

import socket
import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from asn1crypto import tsp
from django.core import checks
from django.core.management import call_command
from django.db import connections
from rfc3161_client import VerifierBuilder, decode_timestamp_response

from audit.bundles.selecting import Report, Selection
from audit.domain import Purpose
from audit.models import Checkpoint, Timestamp
from audit.notes import parse
from audit.services import timestamping
from audit.services.exporting import Handing, export_bundle
from audit.services.genesis import found_log
from audit.services.timestamping import Stamper
from audit.verify.timestamps import Authority as Check
from tests.audit.authority import Authority, request, serving
from tests.audit.builders import DR_LEE, JOB, NOON, complete, event, record
from tests.audit.outside import verdict

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def site(settings, authority, tmp_path):
    """A site that trusts this authority's root; a function that names the address to ask."""
    (tmp_path / "roots.pem").write_bytes(authority.pem)
    settings.AUDIT_TIMESTAMP_ROOTS = str(tmp_path / "roots.pem")

    def name(url: str) -> None:
        settings.AUDIT_TIMESTAMP_URL = url

    return name


def checkpoint() -> Checkpoint:
    record(event(f"loop-{time.monotonic_ns()}"))
    complete()
    return Checkpoint.objects.order_by("-size").first()


def an_hour_passes() -> None:
    """For what is stored, by the owner: the guard is held for that moment."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE audit_timestamp DISABLE TRIGGER USER")
        cursor.execute("UPDATE audit_timestamp SET at = at - interval '61 minutes'")
        for what in ("no_change", "no_truncate"):
            cursor.execute(f"ALTER TABLE audit_timestamp ENABLE ALWAYS TRIGGER audit_timestamp_{what}")


def test_the_authority_of_these_tests_is_one_for_the_library(authority):
    """The power check: what we call an honest answer is accepted by somebody else's code, and a stranger's is not."""
    said = decode_timestamp_response(authority.stamp(b"text", NOON))
    under = timestamping.x509.load_pem_x509_certificates
    assert VerifierBuilder(roots=under(authority.pem)).build().verify_message(said, b"text")
    with pytest.raises(timestamping.VerificationError):
        VerifierBuilder(roots=under(Authority().pem)).build().verify_message(said, b"text")


@pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])
def test_the_newest_checkpoint_is_stamped_once_an_hour(site, authority):
    stamper = Stamper()
    with serving(lambda asked: (200, authority.answer(asked).dump())) as (url, asked):
        site(url)
        assert (stamper.round(), asked) == ("", [])  # nothing is signed yet
        first = checkpoint()
        assert (stamper.round(), stamper.round(), len(asked)) == ("", "", 1)
        kept = Timestamp.objects.get()
        assert (kept.size, kept.authority) == (first.size, url)
        token, text = b64encode(bytes(kept.token)).decode(), parse(bytes(first.note)).text
        assert abs(Check(authority.pem).microsecond(token, text) / 1e6 - time.time()) < 60
        second = checkpoint()
        assert (stamper.round(), len(asked)) == ("", 1)  # the hour is not over
        an_hour_passes()
        assert (Stamper().round(), len(asked)) == ("", 2)
        assert list(Timestamp.objects.order_by("size").values_list("size", flat=True)) == [first.size, second.size]
        an_hour_passes()
        assert (stamper.round(), len(asked)) == ("", 2)  # the newest one is stamped already


def test_only_a_digest_leaves(site, authority):
    with serving(lambda asked: (200, authority.answer(asked).dump())) as (url, asked):
        site(url)
        text = parse(bytes(checkpoint().note)).text
        Stamper().round()
    sent = tsp.TimeStampReq.load(asked[0])
    assert sent["message_imprint"].dump() == request(text)["message_imprint"].dump()
    assert len(asked[0]) < 80
    assert sent["nonce"].native > 2**32


def test_an_export_carries_the_token_and_the_offline_verifier_checks_it(site, authority, tmp_path):
    found_log(by=JOB, now=NOON)
    complete()
    with serving(lambda asked: (200, authority.answer(asked).dump())) as (url, _):
        site(url)
        assert Stamper().round() == ""
    out, handing = tmp_path / "all.zip", Handing(Purpose.AUDIT, recipient="The auditor")
    selection = Selection(Report.EVERYTHING)
    export_bundle(selection, may_read=lambda _: True, by=DR_LEE, now=NOON, out=out, handing=handing)
    for roots, expected in ((authority.pem, (0, None)), (Authority().pem, (1, "token"))):
        (tmp_path / "tsa.pem").write_bytes(roots)
        status, said = verdict(out, more=["--tsa", str(tmp_path / "tsa.pem")])
        assert (status, said["failure"] and said["failure"]["class"]) == expected, said
        assert said["tokens"] == 1


def changed(asked: tsp.TimeStampReq, **members) -> tsp.TimeStampReq:
    said = tsp.TimeStampReq.load(asked.dump())
    for name, value in members.items():
        said[name] = value
    return said


def flipped(data: bytes) -> bytes:
    """Another signature: its last byte, which is the last of the whole answer."""
    return data[:-1] + bytes([data[-1] ^ 1])


REFUSAL = bytes.fromhex("30053003020102")  # a status of 2 and nothing else
ODD = {
    "status-500": lambda tsa, asked: (500, tsa.answer(asked).dump()),
    "status-302": lambda _tsa, _asked: (302, b""),
    "garbage": lambda _tsa, _asked: (200, b"\x30\x82nonsense"),
    "garbage (empty)": lambda _tsa, _asked: (200, b""),
    "garbage (cut)": lambda tsa, asked: (200, tsa.answer(asked).dump()[:-40]),
    "too-long": lambda _tsa, _asked: (200, b"\0" * 70_000),
    "not-granted": lambda _tsa, _asked: (200, REFUSAL),
    "nonce": lambda tsa, asked: (200, tsa.answer(changed(asked, nonce=7)).dump()),
    "nonce (none)": lambda tsa, asked: (200, tsa.answer(changed(asked, nonce=None)).dump()),
    "imprint": lambda tsa, asked: (
        200,
        tsa.answer(changed(asked, message_imprint=request(b"other")["message_imprint"])).dump(),
    ),
    "signature": lambda tsa, asked: (200, flipped(tsa.answer(asked).dump())),
    "signature (a stranger's)": lambda _tsa, asked: (200, Authority().answer(asked).dump()),
    "clock (behind)": lambda tsa, asked: (200, tsa.answer(asked, datetime.now(UTC) - timedelta(minutes=5)).dump()),
    "clock (ahead)": lambda tsa, asked: (200, tsa.answer(asked, datetime.now(UTC) + timedelta(minutes=5)).dump()),
}


@pytest.mark.parametrize("what", ODD)
def test_an_answer_no_auditor_would_accept_is_refused_by_name(what, site, authority):
    checkpoint()
    with serving(lambda asked: ODD[what](authority, asked)) as (url, asked):
        site(url)
        stamper = Stamper()
        assert stamper.round() == what.partition(" ")[0]
        assert stamper.round() == "paused"
    assert len(asked) == 1
    assert Timestamp.objects.count() == 0


def test_a_certificate_made_for_something_else_stamps_nothing(site, tmp_path):
    checkpoint()
    web = Authority(stamps=False)
    (tmp_path / "roots.pem").write_bytes(web.pem)
    with serving(lambda asked: (200, web.answer(asked).dump())) as (url, _):
        site(url)
        assert Stamper().round() == "signature"


@pytest.mark.parametrize("drip_s", [0.02, 0.5])
def test_an_answer_that_drips_in_is_cut_off(site, authority, monkeypatch, drip_s):
    """Header by header, body by body: each byte in time, the whole not."""
    monkeypatch.setattr(timestamping, "EXCHANGE_S", 0.4)
    checkpoint()
    with serving(lambda asked: (200, authority.answer(asked).dump()), drip_s=drip_s) as (url, _):
        site(url)
        begun = time.monotonic()
        assert Stamper().round() == "too-slow"
        assert time.monotonic() - begun < 2


def test_an_authority_that_is_away_is_left_alone_longer_each_time(site):
    checkpoint()
    with serving(lambda _: (200, b"")) as (url, _):
        site(url)
    stamper, pauses = Stamper(), []
    for _ in range(8):
        stamper.quiet_until = 0.0
        assert stamper.round() == "unreachable"
        pauses.append(round(stamper.quiet_until - time.monotonic()))
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    with serving(lambda _: (500, b"")) as (url, asked):
        site(url)
        assert (stamper.round(), asked) == ("paused", [])


@pytest.mark.parametrize("url", ["ftp://tsa.example/", "http://", "http://[/", "http://x:99999999/", "nonsense"])
def test_an_address_that_is_none_is_named(site, url):
    checkpoint()
    site(url)
    assert Stamper().round() == "address"


def test_without_roots_nothing_is_asked_and_the_start_says_so(site, settings, tmp_path):
    checkpoint()
    with serving(lambda _: (200, b"")) as (url, asked):
        site(url)
        for roots in ("", str(tmp_path / "absent.pem"), str(tmp_path)):
            settings.AUDIT_TIMESTAMP_ROOTS = roots
            assert Stamper().round() == "roots"
            assert "audit.W002" in {each.id for each in checks.run_checks(tags=[checks.Tags.security])}
    assert asked == []
    site("")
    assert "audit.W002" not in {each.id for each in checks.run_checks(tags=[checks.Tags.security])}


class Called(Exception):
    """A program tried to reach another over a network."""


def test_where_none_is_named_the_publisher_calls_nobody(site, monkeypatch):
    def refuse(line, address, *_):
        if line.family != socket.AF_UNIX:
            raise Called(address)
        return connect(line, address)

    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", refuse)
    checkpoint()
    out = StringIO()
    site("")
    call_command("run_publisher", "--once", "--json", stdout=out)
    assert '"timestamp": ""' in out.getvalue()
    site("http://127.0.0.1:9/")  # the power check: a call is seen
    with pytest.raises(Called):
        call_command("run_publisher", "--once", stdout=out)
    assert Timestamp.objects.count() == 0
