"""A recommendation is computed again from an exported bundle alone, once the bundle verifies."""

import json
import zipfile
from contextlib import ExitStack
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from audit.bundles.selecting import Report
from audit.domain import Job
from audit.services.genesis import found_log
from care_loops.domain.evidence import Evidence
from care_loops.domain.loops import LoopState
from care_loops.freeze import MAX_UNPACKED, NotPacked, digest, freeze, pack, thaw, unpack
from care_loops.selectors.exports import ExportRequest
from care_loops.services import replay
from care_loops.services.exports import make_export
from care_loops.services.replay import Frozen, NotVerified, replay_bundle, replay_frozen
from governance.domain import BadInput, NotFound, Role
from tests.audit.builders import complete
from tests.audit.outside import policy_beside
from tests.factories import NOW, Hospital

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])


def approved() -> Hospital:
    """A hospital whose clinician has approved a change."""
    found_log(by=Job("sequencer", "1"), now=NOW)
    hospital = Hospital()
    hospital.join("auditor", Role.AUDITOR, now=NOW - timedelta(days=300))
    hospital.loop = hospital.loop_at(LoopState.APPROVED)
    complete()
    return hospital


@pytest.fixture
def site(built) -> Hospital:
    return built.once(approved)


def exported(site, who, tmp_path):
    """(bundle, policy file) of the recommendation."""
    by = site.acting(who)
    request = ExportRequest(Report.DECISION, decision=site.loop.pk)
    bundle = make_export(request, folder=tmp_path, by=by, now=NOW, drawn=False).bundle.path
    return bundle, policy_beside(bundle)


def no_database(_execute, sql, *_):
    raise AssertionError(f"asked the database: {sql[:80]}")


def test_a_bundle_gives_the_same_recommendation_without_the_database(site, tmp_path):
    bundle, policy = exported(site, "clinician", tmp_path)
    out = StringIO()
    with ExitStack() as shut:
        for alias in connections:
            shut.enter_context(connections[alias].execute_wrapper(no_database))
        with pytest.raises(AssertionError, match="asked the database"):
            replay(site.loop.pk)
        call_command(
            "replay", str(site.loop.pk), "--bundle", str(bundle), "--policy", str(policy), "--json", stdout=out
        )
    assert json.loads(out.getvalue())["identical"] is True


def test_another_outcome_than_was_kept_is_named(site):
    loop = site.loop
    kept = json.loads(loop.outcome)
    kept["tier_reasons"] = ["something_else"]
    result = replay_frozen(Frozen(loop.origin, loop.evidence, loop.evidence_digest, json.dumps(kept)))
    assert (result.identical, result.first_difference) == (False, "tier_reasons")
    other = freeze(thaw(loop.evidence, Evidence)).replace(loop.pathway, "another")
    result = replay_frozen(Frozen(loop.origin, other, loop.evidence_digest, loop.outcome))
    assert (result.identical, result.first_difference) == (False, "evidence_digest")


def test_a_bundle_that_does_not_show_the_evidence_says_so(site, tmp_path):
    bundle, policy = exported(site, "auditor", tmp_path)
    with pytest.raises(NotFound, match="without its evidence"):
        replay_bundle(site.loop.pk, bundle, policy=policy)
    with pytest.raises(NotFound, match="no such recommendation"):
        replay_bundle(uuid4(), bundle, policy=policy)


def test_a_bundle_is_verified_before_anything_in_it_is_believed(site, tmp_path):
    bundle, policy = exported(site, "clinician", tmp_path)
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(bundle) as before, zipfile.ZipFile(damaged, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            data = before.read(name)
            if name == "checkpoints.jsonl":
                lines = data.split(b"\n")
                data = b"\n".join(lines[1:]) if len(lines) > 2 else data.replace(b'"size":', b'"size":1', 1)
            after.writestr(name, data)
    with pytest.raises((NotVerified, BadInput)):
        replay_bundle(site.loop.pk, damaged, policy=policy)
    strangers = tmp_path / "strangers.policy"
    strangers.write_text(policy.read_text().replace("log ", "# log "))
    with pytest.raises(BadInput):
        replay_bundle(site.loop.pk, bundle, policy=strangers)
    with pytest.raises(BadInput):
        replay_bundle(site.loop.pk, tmp_path / "nothing.zip", policy=policy)
    with pytest.raises(CommandError, match="both"):
        call_command("replay", str(site.loop.pk), "--bundle", str(bundle))


def test_what_is_packed_is_unpacked_to_the_byte_and_nothing_else_is_unpacked():
    text = '{"a":"' + "é\u0301" * 90_000 + '"}'
    assert unpack(pack(text)) == text
    assert digest(unpack(pack(text))) == digest(text)
    assert all(len(piece) <= 65_536 for piece in pack("".join(str(uuid4()) for _ in range(9000))))
    for pieces in (["***"], [*pack(text)[:1], "AAAA"], [pack(text)[0][:-8]], [None], pack("x" * (MAX_UNPACKED + 1))):
        with pytest.raises(NotPacked):
            unpack(pieces)
