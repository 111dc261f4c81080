"""Where a filter leaves entries out, the bundle says how far each object goes, and the verifier holds it to that."""

import zipfile
from dataclasses import replace

import pytest

from audit import canonical, merkle, notes
from audit.bundles import Body, Bundle, BundleWriter, rest_between
from audit.bundles.selecting import Report, Selection
from audit.domain import Person, Purpose
from audit.models import Entry
from audit.services import keys
from audit.services.export_reading import pseudonym
from audit.services.exporting import Handing, export_bundle
from audit.services.genesis import found_log
from tests.audit.builders import JOB, NOON, event, number, record
from tests.audit.outside import verdict

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])


@pytest.fixture
def history():
    """Three loops of two patients, five acts each in turn, with looks between them."""
    found_log(by=JOB, now=NOON)
    for version in range(1, 6):
        for loop, patient in (("loop-1", "patient-1"), ("loop-2", "patient-1"), ("loop-3", "patient-2")):
            record(event(loop, version, subject=patient))
        record(event("page", None, kind="access.read", subject="patient-1"))
        number()


def export(selection, folder):
    """The bundle, written, for an auditor who may see all."""
    handing = Handing(Purpose.AUDIT, recipient="The auditor")
    how = {"by": Person("44", "auditor"), "now": NOON, "out": folder / "bundle.zip", "handing": handing}
    return export_bundle(selection, may_read=lambda _summary: True, **how)


def test_an_export_without_an_objects_newest_entry_is_refused_by_name(history, tmp_path):
    """The seeded defect: the choice lost the last act of a loop, and what it chose was written and signed as it is."""
    exported = export(Selection(Report.DECISION_HISTORY, subjects=(pseudonym("patient-1"),)), tmp_path)
    status, report = verdict(exported.path)
    assert (status, report["complete_objects"], report["objects"]["go_on"]) == (0, True, 0)
    short = without_the_newest(exported.path, tmp_path / "short.zip")
    status, report = verdict(short)
    assert (status, report["failure"]["class"]) == (1, "object-head")
    assert report["failure"]["detail"] == "loop loop-2 goes to version 5, here to 4"


def without_the_newest(path, target):
    """The bundle without the last act of a loop, and with all else as the exporter would write it."""
    with Bundle.open(path) as bundle, zipfile.ZipFile(path) as held, BundleWriter(target) as writer:
        kept = list(bundle.entries())
        last = max(each.position for each in kept if each.entry["object"]["id"].startswith("loop-"))
        gone = next(each for each in kept if each.position == last)
        kept.remove(gone)
        manifest, splits = bundle.manifest, [each.size for each in bundle.checkpoints()]
        for each in bundle.checkpoints():
            writer.checkpoint(each.size, each.note)
        for line in map(canonical.loads, held.read("heads.jsonl").splitlines()):
            writer.head(line["entry"], version=line["version"], leaf_hash=bytes.fromhex(line["leaf"]))
        for each in kept:
            writer.entry(each.position, each.encoded)
        shown = [each for each in bundle.payloads() if str(each.entry_id) != gone.entry["id"]]
        for each in shown:
            writer.payload(each.entry_id, Body(each.salt, each.body))
        subtree = merkle.subtree_of([bytes(row.leaf_hash) for row in Entry.objects.order_by("position")])
        for rest in rest_between([each.position for each in kept], size=manifest.size, splits=splits, subtree=subtree):
            writer.rest(rest)
        left = tuple(replace(each, n=each.n + 1) if each.what == "entries" else each for each in manifest.left_out)
        counts = replace(manifest.payloads, included=len(shown))
        said = replace(manifest, entries=len(kept), left_out=left, payloads=counts)
        writer.finish(
            lambda files: replace(said, files=files),
            sign=lambda text: notes.sign(text, name=keys.statement_name(), key=keys.statement_key()),
        )
    return target


def test_an_export_that_cuts_through_objects_says_how_far_they_go(history, tmp_path):
    """A period that ends in the middle: each object's newest version in the whole log is named, and not called here."""
    exported = export(Selection(Report.PERIOD, within=(0, 9)), tmp_path)
    with zipfile.ZipFile(exported.path) as held:
        lines = [canonical.loads(line) for line in held.read("heads.jsonl").splitlines()]
    ids = {str(row.entry_id): (row.object_type, row.object_id) for row in Entry.objects.filter(position__lt=9)}
    newest = {}
    for row in Entry.objects.exclude(object_version=None).filter(position__lt=exported.manifest.size):
        newest[row.object_type, row.object_id] = max(
            newest.get((row.object_type, row.object_id), 0), row.object_version
        )
    told = {ids[line["entry"]]: line["version"] for line in lines}
    assert told == {thing: newest[thing] for thing in told}
    status, report = verdict(exported.path)
    assert (status, report["objects"]["included"], report["complete_objects"]) == (0, len(told), False)
    assert 0 < report["objects"]["go_on"] <= len(told)
