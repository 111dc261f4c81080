"""What has expired goes beside its tombstone; what is held, needed or too young stays, by whatever road it is asked."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from importlib import import_module
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pypdf import PdfReader

from audit.bundles.selecting import Report, Selection
from audit.domain import Job, Purpose
from audit.models import IdempotencyKey
from audit.reports import draw
from audit.retention import PolicyInvalid, Way, policy, read
from audit.selectors import payload_of
from audit.services import StoredResponse, idempotent
from audit.services.exporting import Handing, export_bundle
from audit.services.genesis import found_log
from audit.services.holds import place_hold, release_hold
from audit.services.retention import Expiry, RetentionRefused, apply, purge, purge_idempotency_answers
from audit.services.shredding import Lawful
from audit.services.verifying import verify_log
from care_loops.models import Alert, BloodPressure, SensorSample
from care_loops.services import take_in_samples
from care_loops.services.retention import purge_samples
from edge_wearables.models import RefusedReading
from edge_wearables.services.refusing import keep_readings
from governance.selectors import evidence_of
from tests.audit.builders import complete
from tests.audit.outside import verdict
from tests.care_loops.standing import commits, hospital, refused, site, sql  # noqa: F401
from tests.care_loops.test_wearable_rates import sample
from tests.factories import NOW, Hospital, job

BY = Job("apply-retention", "run-1")
LONG_AGO = timezone.now() - timedelta(days=2400)
COURT = {"lawful": Lawful("court-1", "dr-noor"), "by": BY, "now": NOW}


def sampled(patient, *, at, rates=(70, 72), kind="heart_rate") -> None:
    """Samples of that day, received on that day."""
    take_in_samples(patient.pk, [sample(rate, kind=kind, at=at) for rate in rates], by=job(), now=at, received_at=at)


def outcome(name: str, **how):
    """What applying the policy says of one class."""
    return {each.name: each for each in apply(by=BY, now=timezone.now(), **how)}[name]


def test_expired_samples_go_with_a_tombstone_for_each_person_and_young_ones_stay(hospital):  # noqa: F811
    ada, ben = hospital.patient(), hospital.patient()
    for patient in (ada, ben):
        sampled(patient, at=LONG_AGO)
        sampled(patient, at=timezone.now() - timedelta(days=2000))
    dry = outcome("wearable_samples", dry=True)
    assert (sum(gone.count for gone in dry.gone), SensorSample.objects.count()) == (4, 8)
    done = outcome("wearable_samples")
    commits()
    assert sorted((gone.scope, gone.count) for gone in done.gone) == sorted([(str(ada.pk), 2), (str(ben.pk), 2)])
    assert SensorSample.objects.filter(received_at__lt=timezone.now() - timedelta(days=2192)).count() == 0
    assert SensorSample.objects.count() == 4
    said = payload_of(done.gone[0].entry)
    assert (said["class"], said["count"], said["policy"]) == ("wearable_samples", 2, policy().version)
    assert said["digest"] == done.gone[0].digest == dry.gone[0].digest
    assert outcome("wearable_samples").gone == ()  # once more changes nothing


def test_held_records_stay_and_are_counted_until_the_hold_ends(hospital):  # noqa: F811
    ada, ben = hospital.patient(), hospital.patient()
    for patient in (ada, ben):
        sampled(patient, at=LONG_AGO)
    place_hold("litigation-1", subject=str(ada.pk), **COURT)
    done = outcome("wearable_samples")
    assert [(held.scope, held.count, held.holds) for held in done.held] == [(str(ada.pk), 2, ("litigation-1",))]
    assert SensorSample.objects.filter(patient=ada).count() == 2
    assert SensorSample.objects.filter(patient=ben).count() == 0
    release_hold("litigation-1", **COURT)
    assert [gone.scope for gone in outcome("wearable_samples").gone] == [str(ada.pk)]


def test_a_sample_that_an_alert_names_stays_with_the_alert(hospital):  # noqa: F811
    ada = hospital.patient()
    sampled(ada, at=LONG_AGO, rates=(70, 160))
    alert = Alert.objects.get(patient=ada)
    outcome("wearable_samples")
    (kept,) = SensorSample.objects.filter(patient=ada)
    assert alert.events.filter(evidence__contains=str(kept.pk)).exists()


# --- the database's side ----------------------------------------------------------------------------------------------


def test_the_application_deletes_no_sample_without_the_entry_and_none_that_is_young(hospital):  # noqa: F811
    ada = hospital.patient()
    sampled(ada, at=LONG_AGO)
    with refused("no entry of this transaction"):
        sql("DELETE FROM care_loops_sensorsample RETURNING 1")
    with refused("audit|grows|permission"):
        sql("UPDATE care_loops_sensorsample SET value = 1 RETURNING 1")
    sampled(ada, at=timezone.now() - timedelta(days=2191))
    outcome("wearable_samples")  # its tombstone is of this very transaction
    with refused("before 2192 days have passed"):
        sql("DELETE FROM care_loops_sensorsample RETURNING 1")
    assert SensorSample.objects.count() == 2


def test_a_tombstone_of_somebody_held_lets_nothing_go(hospital):  # noqa: F811
    ada = hospital.patient()
    sampled(ada, at=LONG_AGO)
    outcome("wearable_samples")
    sampled(ada, at=LONG_AGO + timedelta(days=1))
    place_hold("litigation-1", subject=str(ada.pk), **COURT)
    with refused("or it is held"):
        sql("DELETE FROM care_loops_sensorsample RETURNING 1")
    release_hold("litigation-1", **COURT)
    sql("DELETE FROM care_loops_sensorsample RETURNING 1")  # what held it back was the hold


def test_readings_under_a_batch_root_are_never_purged(hospital):  # noqa: F811
    ada = hospital.patient()
    hospital.week(ada, 140, 85)
    outcome("wearable_samples")
    with refused("grows|permission"):
        sql("DELETE FROM care_loops_bloodpressure RETURNING 1")
    assert BloodPressure.objects.filter(patient=ada).exists()


def test_the_minimum_of_the_table_stands_in_the_database_too():
    for module, name in (
        ("care_loops.migrations.0012_samples_expire", "wearable_samples"),
        ("edge_wearables.migrations.0004_bodies_expire", "refused_bodies"),
    ):
        assert f"{policy().named(name).minimum.days} days" == import_module(module).MINIMUM


# --- other classes ----------------------------------------------------------------------------------------------------


def kept_body(at, body=b"not what it should be"):
    """A reading refused at the entrance, kept as it came."""
    row = RefusedReading(
        id=uuid4(),
        outcome="rejected",
        code="out_of_range",
        body=body,
        body_size=len(body),
        body_sha256=hashlib.sha256(body).hexdigest(),
        received_at=at,
    )
    keep_readings([row], by=job(), batch_id=uuid4(), now=at)
    return row


def test_expired_bodies_are_emptied_and_their_digest_stays(hospital):  # noqa: F811
    old, young = kept_body(timezone.now() - timedelta(days=800)), kept_body(timezone.now() - timedelta(days=300))
    done = outcome("refused_bodies")
    commits()
    old.refresh_from_db()
    young.refresh_from_db()
    assert (bytes(old.body), bytes(young.body)) == (b"", b"not what it should be")
    assert old.body_sha256 == hashlib.sha256(b"not what it should be").hexdigest()
    assert [(gone.scope, gone.count) for gone in done.gone] == [(f"{old.received_at:%Y-%m}", 1)]
    assert outcome("refused_bodies").gone == ()
    with refused("no entry of this transaction"):
        sql("UPDATE edge_wearables_refusedreading SET body = '' RETURNING 1")
    for statement in (
        "UPDATE edge_wearables_refusedreading SET body = 'x' RETURNING 1",
        "DELETE FROM edge_wearables_refusedreading RETURNING 1",
    ):
        with refused("only body may be emptied|grows|permission"):
            sql(statement)


def answered(key: str) -> None:
    idempotent(BY, key=key, route="/r", body_sha256=bytes(32), work=lambda: StoredResponse(200, b"{}", "text/plain"))


def test_answers_to_repeated_requests_go_after_a_week(hospital):  # noqa: F811
    answered("k")
    assert outcome("idempotency_answers").gone == ()
    klass = policy().named("idempotency_answers")
    later = timezone.now() + timedelta(days=8)
    done = purge(purge_idempotency_answers, Expiry(klass, klass.cutoff(later), BY, later))
    assert [gone.count for gone in done.gone] == [1]
    assert not IdempotencyKey.objects.filter(key="k").exists()
    answered("l")
    place_hold("inquiry-1", subject=None, **COURT)
    held = purge(purge_idempotency_answers, Expiry(klass, klass.cutoff(later), BY, later))
    assert (held.gone, held.held[0].holds) == ((), ("inquiry-1",))


def test_nothing_under_the_minimum_is_purged():
    klass, now = policy().named("wearable_samples"), timezone.now()
    with pytest.raises(RetentionRefused, match="under-minimum"):
        purge(purge_samples, Expiry(klass, now - timedelta(days=2191), BY, now))


def test_the_table_is_refused_when_it_contradicts_itself():
    good = {
        "name": "a",
        "what": "a",
        "way": "purge",
        "keep_days": 2,
        "minimum_days": 1,
        "bases": [{"says": "x", "source": "ours", "mark": "proposal"}],
    }
    assert read({"version": "1", "classes": [good]}).named("a").way is Way.PURGE
    for bad in (
        {"keep_days": 0},
        {"bases": []},
        {"way": "burn"},
        {"bases": [{"says": "x", "source": "y", "mark": "?"}]},
    ):
        with pytest.raises(PolicyInvalid):
            read({"version": "1", "classes": [good | bad]})
    with pytest.raises(PolicyInvalid, match="twice"):
        read({"version": "1", "classes": [good, good]})


def pages_of_today(folder) -> str:
    """The text of the report of a period's bundle, as a person would read it."""
    export_bundle(
        Selection(Report.PERIOD),
        may_read=lambda _: True,
        by=BY,
        now=NOW,
        out=folder / "period.zip",
        handing=Handing(Purpose.AUDIT, "auditor"),
        signatures=evidence_of,
    )
    with (folder / "period.pdf").open("wb") as out:
        draw(folder / "period.zip", out)
    return " ".join(" ".join(page.extract_text() for page in PdfReader(folder / "period.pdf").pages).split())


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])
def test_the_command_purges_and_the_record_still_verifies(tmp_path):
    found_log(by=BY, now=NOW)
    ada = Hospital().patient()
    sampled(ada, at=LONG_AGO)
    complete()
    out = StringIO()
    call_command("apply_retention", "--json", stdout=out)
    said = json.loads(out.getvalue())
    samples = {each["class"]: each for each in said["classes"]}["wearable_samples"]
    assert (said["dry_run"], samples["purged"], len(samples["entries"])) == (False, 2, 1)
    assert not SensorSample.objects.exists()
    complete()
    assert verify_log()[0].verified is True
    printed = pages_of_today(tmp_path)
    assert "Expired data removed under the retention policy" in printed
    assert "wearable samples" in printed.replace("_", " ")
    code, found = verdict(tmp_path / "period.zip")
    assert code in (0, 3), found
    call_command("apply_retention", "--dry-run", stdout=out)
    assert "wearable_samples: 0 before" in out.getvalue()
    for now, words in (("tomorrow", "not an ISO"), ("2026-01-01", "zone"), ("2999-01-01T00:00:00+00:00", "future")):
        with pytest.raises(CommandError, match=words) as refusal:
            call_command("apply_retention", "--now", now)
        assert refusal.value.returncode == 2
