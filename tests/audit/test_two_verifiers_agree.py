"""Two verifiers, written from one specification by different hands, agree on honest and damaged bundles alike.

The second (`tests/audit/second`) shares no code with `audit.verify`. A difference is a fault of one of them or of the
specification; the seeded defects show that one would be seen.
"""

import random
import zipfile
from io import BytesIO

import pytest

from audit.bundles.selecting import Report, Selection
from audit.domain import Person, Purpose
from audit.services.export_reading import pseudonym
from audit.services.exporting import Handing, export_bundle
from audit.services.genesis import found_log
from governance.selectors import evidence_of
from tests.audit.builders import JOB, NOON, event, number, record
from tests.audit.outside import policy_beside
from tests.audit.second.agreeing import Comparison, disagreement, missing, offline
from tests.audit.second.mutating import Case, bent, case
from tests.audit.tamper import forging, trial, world
from tests.audit.tamper.trial import desk
from tests.factories import Hospital

SEED = 20261122
PARTS, EACH = 4, 500
PAPERS = 45
TAMPERED = 60
REACHED = 30


@pytest.mark.parametrize("part", range(PARTS))
def test_both_judge_alike(part):
    """Every step is reached from every side: good, bent and made to fit again, unwitnessed, unusable."""
    compared = Comparison(f"{SEED}/{part}")
    with desk() as folder:
        compared.compare(range(EACH), folder)
    assert compared.differ == []
    assert min(compared.exits[status] for status in (0, 1, 2, 3)) >= EACH // 50
    assert len(compared.classes) >= REACHED


def test_both_judge_the_tamper_harness_alike():
    """Liars with the database, the log key and the statement key, and honest logs beside them."""
    found = []
    pool = trial.worlds(SEED, (40, 60))
    honest = [("honest", forging.bundle(each), (*each.receipts.values(),), each.seen) for each in pool]
    lies = [(a.name, a.members, a.receipts, a.seen) for _, a in trial.attacks(pool, range(TAMPERED), SEED)]
    with desk() as folder:
        for name, members, receipts, seen in [*honest, *lies]:
            given = Case(name, forging.zipped(members), world.policy(), tuple(receipts), (seen,))
            told = offline(given, folder)
            found.append(told.exit)
            assert disagreement(told, given) == "", name
    assert {0, 1} <= {*found}
    assert found[: len(honest)].count(0) == sum(each.covered == len(each.records) for each in pool)


@pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])
def test_both_judge_what_the_running_system_exports_alike(tmp_path):
    """A site's own log, whole and in part: good as it is, and alike when damaged anywhere."""
    found_log(by=JOB, now=NOON)
    Hospital()
    record(event("loop-1", 1, subject="patient-1"), event("loop-1", 2, subject="patient-1"))
    number()
    dice, auditor = random.Random(SEED), Person("44", "auditor")
    for selection in (
        Selection(Report.EVERYTHING),
        Selection(Report.DECISION_HISTORY, subjects=(pseudonym("patient-1"),)),
    ):
        out = tmp_path / f"{selection.report.value}.zip"
        handing = Handing(Purpose.AUDIT, recipient="The auditor")
        how = {"may_read": lambda _: True, "by": auditor, "now": NOON, "out": out, "handing": handing}
        how["signatures"] = evidence_of
        policy = policy_beside(export_bundle(selection, **how).path).read_bytes()
        honest = Case("exported", out.read_bytes(), policy)
        assert (offline(honest, tmp_path).exit, disagreement(offline(honest, tmp_path), honest)) == (0, "")
        with zipfile.ZipFile(out) as held:
            members = {name: held.read(name) for name in held.namelist()}
        for name in sorted(members) * 2:
            other = bent(members[name] or b"{}", dice)
            given = Case(name, _packed(members | {name: other if other != members[name] else b"{}"}), policy)
            told = offline(given, tmp_path)
            assert disagreement(told, given) == "", name
            assert told.exit in {1, 2}, name


def _packed(members):
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in sorted(members.items()):
            target.writestr(name, data)
    return out.getvalue()


def test_both_judge_reports_alike():
    """PDFs as they are handed out and changed anywhere: V16, from both sides."""
    compared = Comparison(SEED, papers=1)
    with desk() as folder:
        compared.compare(range(PAPERS), folder)
    assert compared.differ == []
    assert min(compared.exits[status] for status in (0, 1, 2)) >= 2
    assert {"pdf-note", "pdf-bundle", "pdf-pages", "pdf-page", "pdf-signature"} <= {*compared.classes}


DEFECTS = {
    "readings are taken as they come": ("batch-root", "batch-stray"),
    "times are not looked at": ("time-before", "time-after"),
    "chains of objects are not followed": ("duplicate-id", "version-gap", "version-order", "prev"),
    "how far objects go is not looked at": ("object-head",),
    "signatures are believed": ("esign-signature",),
    "roots are believed": ("root", "seen-root"),
    "pages are not read": ("pdf-page", "pdf-pages"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_verifier_with_a_defect_is_seen(defect):
    """The seeded defects: each is a first verifier that says of some classes that all holds."""
    with desk() as folder:
        compared = Comparison(f"{SEED}/0", papers=25)
        for start in range(0, 1_500, 25):
            compared.compare(range(start, start + 25), folder, verifier=missing(*DEFECTS[defect]))
            if compared.differ:
                break
    assert compared.differ


def test_a_case_is_a_function_of_its_number():
    assert case(SEED, 7) == case(SEED, 7) != case(SEED, 8)
