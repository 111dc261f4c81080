"""An export has what was asked for, proves it, says what it left out, and is itself in the record."""

import random
import zipfile
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction

from audit import canonical, entries, merkle, notes
from audit.bundles import Bundle
from audit.bundles.selecting import Report, Selection
from audit.domain import Device, Event, Job, ObjectRef, Person, Purpose
from audit.models import Checkpoint, Entry, Payload
from audit.selectors import payload_of
from audit.services import append, certificates, keys
from audit.services.export_reading import pseudonym
from audit.services.exporting import ExportRefused, Handing, export_bundle
from audit.services.genesis import found_log
from audit.services.shredding import Lawful, shred_payload, shred_person
from tests.audit.builders import DR_LEE, JOB, NOON, denial, event, number, record
from tests.audit.outside import verdict

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])
AUDITOR = Person("44", "auditor")
FOR_AUDIT = Handing(Purpose.AUDIT, recipient="The auditor")
PATIENTS = ("patient-1", "patient-2", "patient-3")


def everybody(_summary):
    """A reader who may see all."""
    return True


def export(selection, out, *, may_read=everybody, by=AUDITOR, handing=FOR_AUDIT, **how):
    """The bundle, written."""
    return export_bundle(selection, may_read=may_read, by=by, now=NOON, out=out / "bundle.zip", handing=handing, **how)


@pytest.fixture
def history():
    """Some 120 entries in nine checkpoints: three patients, two clinicians, a device and a job."""
    chance = random.Random(7)
    found_log(by=JOB, now=NOON)
    versions: Counter[str] = Counter()
    for _batch in range(9):
        for _ in range(13):
            patient = chance.choice(PATIENTS)
            actor = chance.choice([DR_LEE, Person("18", "clinician"), JOB, Device("cuff-1")])
            match chance.randrange(5):
                case 0:
                    record(event("page", None, kind="access.read", subject=patient, actor=actor))
                case 1:
                    record(event("account-9", None, kind="access.read", subject=None, actor=actor, payload=None))
                case 2:
                    with transaction.atomic():
                        append(denial(subject=chance.choice([patient, None])))
                case _:
                    name = f"loop-of-{patient}-{chance.randrange(3)}"
                    versions[name] += 1
                    record(event(name, versions[name], subject=patient, actor=actor))
        number()


def read(path):
    """(manifest, positions, payloads by entry id, rest, checkpoints) of a bundle."""
    with Bundle.open(path) as bundle:
        bundle.check_members()
        return (
            bundle.manifest,
            list(bundle.entries()),
            {str(each.entry_id): each for each in bundle.payloads()},
            list(bundle.rest()),
            list(bundle.checkpoints()),
        )


def proves(path) -> int:
    """Walk entries and hashes in order and meet the root of every checkpoint; how many checkpoints were met."""
    manifest, included, payloads, rest, checkpoints = read(path)
    tree, by_start, met = merkle.CompactRange.empty(), {each.start: each for each in rest}, 0
    hashes = {each.position: each for each in included}
    heads = {
        each.size: notes.open_checkpoint(each.note, origin=manifest.origin, keys=_log_keys()) for each in checkpoints
    }
    while tree.size < manifest.size:
        if tree.size in hashes:
            tree.append(hashes[tree.size].leaf_hash)
        else:
            _join(tree, by_start.pop(tree.size))
        if tree.size in heads:
            assert heads[tree.size].root == tree.root()
            met += 1
    assert not by_start
    assert met == len(checkpoints)
    assert tree.root() == manifest.root
    said = {each.entry["id"]: each.entry.get("payload") for each in included}
    for entry_id, payload in payloads.items():
        assert said[entry_id]["commit"] == entries.commitment(payload.salt, payload.body).hex()
    return met


def _join(tree, rest):
    width, node, size = rest.end - rest.start, rest.hash, tree.size
    while size & width:
        node, size, width = merkle.node_hash(tree.hashes.pop(), node), size & ~width, width << 1
    tree.hashes.append(node)
    tree.size = rest.end


def _log_keys():
    row = Checkpoint.objects.order_by("-size").first()
    return [notes.VerifierKey.parse(row.key_name)]


def decoded():
    """Every numbered entry with its position, decoded: what the oracle looks at."""
    return [
        (row.position, entries.read_leaf(bytes(row.leaf), origin=keys.origin()))
        for row in Entry.objects.order_by("position")
    ]


def oracle(selection):
    """Which positions the selection means, said over the whole entries and not in SQL."""
    every = decoded()
    theirs = {
        (e["object"]["type"], e["object"]["id"])
        for _, e in every
        if e.get("subject") in selection.subjects and e["object"]["version"] is not None
    }

    def fits(entry):
        place = (entry["object"]["type"], entry["object"]["id"])
        if place[0] == "log":
            return True
        match selection.report:
            case Report.EVERYTHING:
                return True
            case Report.DECISION_HISTORY:
                return entry.get("subject") in selection.subjects or place in theirs
            case Report.ACCESS:
                own = entry.get("subject") in selection.subjects and entry["type"].startswith("access.")
                refused = entry["type"] == "access.denied" and any(text in place[1] for text in selection.refused_at)
                return own or refused
            case Report.MODEL | Report.DECISION:
                return place in selection.objects
            case Report.PERSON:
                return entry["actor"]["kind"] == "user" and entry["actor"]["id"] == selection.actor
            case Report.PERIOD:
                return entries.stamp(selection.since) <= entry["at"] < entries.stamp(selection.until)
            case _:
                raise AssertionError(selection.report)

    return [position for position, entry in every if fits(entry)]


def middle_of_the_log():
    times = list(Entry.objects.order_by("position").values_list("at", flat=True))
    return times[len(times) // 3], times[2 * len(times) // 3]


def selections():
    """One of every report but the accounting of disclosures."""
    since, until = middle_of_the_log()
    one = (pseudonym("patient-1"),)
    return [
        Selection(Report.EVERYTHING),
        Selection(Report.DECISION_HISTORY, subjects=one),
        Selection(Report.DECISION_HISTORY, subjects=(pseudonym("patient-1"), pseudonym("patient-3"))),
        Selection(Report.ACCESS, subjects=one),
        Selection(Report.ACCESS, subjects=one, refused_at=("page-1",)),
        Selection(Report.MODEL, objects=(("loop", "loop-of-patient-1-0"),)),
        Selection(Report.DECISION, objects=(("loop", "loop-of-patient-2-1"), ("loop", "loop-of-patient-3-2"))),
        Selection(Report.PERSON, actor="17"),
        Selection(Report.PERIOD, since=since, until=until),
    ]


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_every_selection_has_exactly_what_it_means_and_proves_it(history, tmp_path):
    reached = set()
    for selection in selections():
        expected = [p for p in oracle(selection) if p < Checkpoint.objects.order_by("-size").first().size]
        exported = export(selection, tmp_path)
        manifest, included, *_ = read(exported.path)
        assert [each.position for each in included] == expected, selection
        assert proves(exported.path) >= 1
        status, said = verdict(exported.path)
        assert status == 0, (selection, said["failure"])
        assert manifest.kind == selection.kind
        assert manifest.chosen("report") == selection.report.value
        left = {(each.what, each.why): each.n for each in manifest.left_out}
        assert left.get(("entries", "filter"), 0) == manifest.size - len(expected)
        reached.add((selection.report, 0 < len(expected) < manifest.size))
    assert {(report, True) for report in Report} - reached <= {(Report.EVERYTHING, True), (Report.DISCLOSURES, True)}


def test_everything_is_the_whole_log_without_a_hash_between(history, tmp_path):
    manifest, included, payloads, rest, checkpoints = read(export(Selection(Report.EVERYTHING), tmp_path).path)
    assert len(included) == manifest.size
    assert rest == []
    assert len(checkpoints) == Checkpoint.objects.filter(size__lte=manifest.size).count()
    assert manifest.payloads.included == len(payloads) > 50
    assert manifest.complete_objects


def test_each_entry_has_the_nearest_checkpoints_around_it(history, tmp_path):
    selection = Selection(Report.DECISION, objects=(("loop", "loop-of-patient-1-0"),))
    _, included, _, _, checkpoints = read(export(selection, tmp_path).path)
    every = list(Checkpoint.objects.order_by("size").values_list("size", flat=True))[:-1]  # the export's own is later
    sizes = {each.size for each in checkpoints}
    for entry in included:
        before = [size for size in every if size <= entry.position]
        after = [size for size in every if size > entry.position]
        assert not before or max(before) in sizes
        assert not after or min(after) in sizes


def test_the_offline_verifier_holds_a_bundle_and_finds_one_that_was_changed(history, tmp_path):
    """One entry's words, one hash between, and one payload: each changed in a bundle that was good before."""
    exported = export(Selection(Report.DECISION_HISTORY, subjects=(pseudonym("patient-1"),)), tmp_path)
    assert verdict(exported.path)[0] == 0
    for member, old, new in (
        ("entries.jsonl", b'"outcome":"ok"', b'"outcome":"no"'),
        ("rest.jsonl", b'"hash":"', b'"hash":"0'),
        ("payloads.jsonl", b"135.5", b"120.0"),
        ("manifest.json", b'"n":', b'"n":1'),
    ):
        damaged = tmp_path / f"{member}.zip"
        with zipfile.ZipFile(exported.path) as before, zipfile.ZipFile(damaged, "w", zipfile.ZIP_DEFLATED) as after:
            for name in before.namelist():
                data = before.read(name)
                after.writestr(name, data.replace(old, new, 1) if name == member else data)
        status, report = verdict(damaged)
        assert status in (1, 2), (member, report)
        assert report["failure"]


def test_a_long_log_is_tiled_from_few_hashes(tmp_path):
    for start in range(0, 1100, 220):
        record(*[event(f"loop-{n}", 1, subject=f"patient-{n}") for n in range(start, start + 220)])
        number()
    exported = export(Selection(Report.DECISION_HISTORY, subjects=(pseudonym("patient-700"),)), tmp_path)
    _, included, _, rest, checkpoints = read(exported.path)
    assert [each.position for each in included] == [700]
    assert proves(exported.path) == len(checkpoints) == 3
    assert len(rest) < 40


# --- what is not ------------------------------------------------------------------------------------------------------


def test_what_a_reader_may_not_see_is_counted_and_not_there(history, tmp_path):
    asked = []

    def nobody_s(summary):
        asked.append(summary)
        return summary.subject is None

    exported = export(Selection(Report.EVERYTHING), tmp_path, may_read=nobody_s)
    manifest, included, payloads, *_ = read(exported.path)
    with_payload = [each for each in included if "payload" in each.entry]
    of_patients = {each.entry["id"] for each in with_payload if "subject" in each.entry}
    assert of_patients
    assert not of_patients & payloads.keys()
    assert manifest.payloads.withheld == len(of_patients)
    assert manifest.payloads.included == len(with_payload) - len(of_patients)
    assert ("payloads", "permission", len(of_patients)) in [(x.what, x.why, x.n) for x in manifest.left_out]
    of_keys = {each.entry["id"] for each in with_payload if each.entry["object"]["type"] == "log"}
    for_payloads = {str(each.entry_id) for each in asked} & {each.entry["id"] for each in with_payload}
    assert for_payloads == {each.entry["id"] for each in with_payload} - of_keys
    assert of_keys <= payloads.keys(), "without the keys of the log nothing could be verified"
    proves(exported.path)


def test_what_was_destroyed_is_counted_with_the_entry_that_says_so_and_verifies(history, tmp_path):
    """One payload, then everything about somebody, then one whose entry no checkpoint covers yet."""
    lawful = {"lawful": Lawful("gdpr-art-17", "dr-noor"), "by": AUDITOR, "now": NOON}
    both = Selection(Report.DECISION_HISTORY, subjects=(pseudonym("patient-1"), pseudonym("patient-2")))
    before = export(both, tmp_path).manifest.payloads
    of_one = Entry.objects.filter(subject=pseudonym("patient-1"), type="window.closed").order_by("position")
    shred_payload(Payload.objects.get(entry_id=of_one[0].entry_id).pk, **lawful)
    number()
    after = export(both, tmp_path)
    assert (after.manifest.payloads.shredded, after.manifest.payloads.included) == (1, before.included)
    assert "payload.shredded" in {each.entry["type"] for each in read(after.path)[1]}
    assert verdict(after.path)[0] == 0
    shred_payload(Payload.objects.get(entry_id=of_one[1].entry_id).pk, **lawful)
    since = export(both, tmp_path)
    assert ("payloads", "shredded", 1) in {(x.what, x.why, x.n) for x in since.manifest.left_out}
    assert verdict(since.path)[0] == 0
    shred_person("patient-2", **lawful)
    number()
    for selection in (both, Selection(Report.EVERYTHING), Selection(Report.PERSON, actor="17")):
        gone = export(selection, tmp_path)
        assert gone.manifest.payloads.shredded > 2
        assert verdict(gone.path)[0] == 0, selection
    withheld = export(both, tmp_path, may_read=lambda summary: summary.subject != pseudonym("patient-1"))
    assert withheld.manifest.payloads.withheld > 0
    assert verdict(withheld.path)[0] == 0


def test_what_is_not_signed_yet_is_left_out_and_counted(history, tmp_path):
    record(event("late", 1, subject="patient-1"))
    exported = export(Selection(Report.DECISION_HISTORY, subjects=(pseudonym("patient-1"),)), tmp_path)
    left = {(each.what, each.why): each.n for each in exported.manifest.left_out}
    assert left[("later_entries", "not-yet-numbered")] == 1
    number()
    later = export(Selection(Report.DECISION_HISTORY, subjects=(pseudonym("patient-1"),)), tmp_path)
    assert later.manifest.entries == exported.manifest.entries + 1
    assert {each.why for each in later.manifest.left_out} == {"filter"}


def test_nothing_to_export_is_refused_by_name_and_leaves_nothing(tmp_path):
    with pytest.raises(ExportRefused) as refused:
        export(Selection(Report.EVERYTHING), tmp_path)
    assert refused.value.code == "nothing_signed"
    record(event())
    number()
    for selection in (
        Selection(Report.DECISION_HISTORY, subjects=(pseudonym("nobody"),)),
        Selection(Report.PERSON, actor="nobody"),
        Selection(Report.DECISION),
        Selection(Report.PERIOD, since=NOON - timedelta(days=9000), until=NOON - timedelta(days=8999)),
    ):
        with pytest.raises(ExportRefused) as refused:
            export(selection, tmp_path)
        assert refused.value.code == "nothing_selected"
    assert list(tmp_path.iterdir()) == []
    assert not Entry.objects.filter(type="export.made").exists()


# --- the same, whole, and recorded ------------------------------------------------------------------------------------


def test_the_same_export_twice_is_the_same_bytes(history, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    selection = Selection(Report.DECISION_HISTORY, subjects=(pseudonym("patient-2"),))
    quiet = Handing(Purpose.AUDIT, recipient="Nobody")
    first, second = (export(selection, tmp_path / name, handing=quiet) for name in "ab")
    # The first export is itself an entry, not yet numbered: the manifest counts it, everything else is equal.
    assert first.manifest.files == second.manifest.files
    number()
    with transaction.atomic():
        third = export(selection, tmp_path / "a", handing=quiet)
        connection.set_rollback(True)
    fourth = export(selection, tmp_path / "b", handing=quiet)
    assert third.path.read_bytes() == fourth.path.read_bytes()


def test_an_export_that_fails_in_the_middle_leaves_no_file_and_no_entry(history, tmp_path):
    def full(done, _total):
        if done:
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        export(Selection(Report.EVERYTHING), tmp_path, progress=full)
    assert list(tmp_path.iterdir()) == []
    number()
    assert not Entry.objects.filter(type="export.made").exists()


def test_no_file_without_its_entry(history, tmp_path):
    """The record refuses the entry: then there is no export either."""
    unsayable = Handing(Purpose.AUDIT, recipient="e\u0301")  # not in the normal form of the record
    with pytest.raises(canonical.NotCanonical):
        export(Selection(Report.EVERYTHING), tmp_path, handing=unsayable)
    assert list(tmp_path.iterdir()) == []


def test_progress_is_told_to_the_end(history, tmp_path):
    told = []
    exported = export(Selection(Report.EVERYTHING), tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told[0] == (0, exported.manifest.entries)
    assert told[-1] == (exported.manifest.entries, exported.manifest.entries)


def test_the_export_is_in_the_record_with_who_what_for_and_the_manifest(history, tmp_path):
    about = Handing(Purpose.LEGAL, recipient="The court", about="patient-1")
    selection = Selection(Report.DECISION_HISTORY, subjects=(pseudonym("patient-1"),))
    exported = export(selection, tmp_path, handing=about)
    number()
    made = next(e for _, e in decoded() if e["type"] == "export.made")
    assert made["actor"]["id"] == AUDITOR.id
    assert made["purpose"] == "legal"
    assert made["subject"] == pseudonym("patient-1")
    later = export(Selection(Report.DISCLOSURES, subjects=(pseudonym("patient-1"),)), tmp_path)
    _, included, payloads, *_ = read(later.path)
    assert [each.entry["type"] for each in included if each.entry["object"]["type"] != "log"] == ["export.made"]
    said = payloads[made["id"]].said()
    assert said["manifest_sha256"] == exported.manifest_sha256
    assert said["bundle_sha256"] == exported.sha256
    assert said["recipient"] == "The court"


def test_the_accounting_lists_disclosures_and_not_what_needs_none(history, tmp_path):
    """45 CFR 164.528: one that is excluded and one that is not; the report has exactly the second."""
    selection = Selection(Report.DECISION_HISTORY, subjects=(pseudonym("patient-1"),))
    for purpose in (Purpose.TREATMENT, Purpose.PATIENT_REQUEST, Purpose.LEGAL):
        export(selection, tmp_path, handing=Handing(purpose, recipient=purpose.value, about="patient-1"))
    number()
    accounting = export(Selection(Report.DISCLOSURES, subjects=(pseudonym("patient-1"),)), tmp_path)
    _, included, *_ = read(accounting.path)
    assert [each.entry["purpose"] for each in included if each.entry["object"]["type"] == "export"] == ["legal"]


def test_an_export_that_shows_many_patients_is_a_disclosure_about_each(history, tmp_path):
    names = {pseudonym(patient): patient for patient in PATIENTS[:2]}
    export(Selection(Report.EVERYTHING), tmp_path, handing=Handing(Purpose.LEGAL, "The court", patient_of=names.get))
    number()
    disclosed = [e for _, e in decoded() if e["type"] == "export.disclosed"]
    assert sorted(each["subject"] for each in disclosed) == sorted(names)


def test_the_manifest_is_signed_by_the_statement_key(history, tmp_path):
    exported = export(Selection(Report.EVERYTHING), tmp_path)
    with Bundle.open(exported.path) as bundle:
        note, signers = notes.open_note(bundle.note, keys=[keys.statement_vkey()])
        assert signers == (keys.statement_vkey(),)
        assert note.text == bundle.manifest.statement(exported.manifest_sha256)


def test_a_log_that_began_without_the_statement_key_or_the_certificate_of_reports_names_each_once():
    """A site from before bundles: its genesis names the log's key only."""
    said = {"origin": keys.origin(), "vkey": "of-the-log"}
    record(Event("log.genesis", NOON, JOB, ObjectRef("log", keys.origin(), 1), payload=said))
    for _ in range(2):
        assert found_log(by=JOB, now=NOON) is False
        number()
    created = [e for _, e in decoded() if e["type"] == "key.created"]
    assert [(e["object"]["type"], e["object"]["version"]) for e in created] == [("log", 2), ("log", 3)]
    assert payload_of(UUID(created[0]["id"]))["vkey"] == str(keys.statement_vkey())
    certificate = certificates.report_certificate(now=NOON)
    assert payload_of(UUID(created[1]["id"]))["certificate_sha256"] == certificates.fingerprint(certificate)


def test_a_job_may_make_an_export_too(history, tmp_path):
    exported = export(Selection(Report.PERSON, actor="17"), tmp_path, by=Job("nightly", "1"))
    assert dict(exported.manifest.made_by) == {"id": "nightly", "kind": "service"}
