"""Importing FHIR: a run as a whole, one that breaks off, and what its command says."""

import json
from hashlib import sha256
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from audit.selectors import count_entries
from care_loops.fhir_r4.documents import documents
from care_loops.models import BloodPressure, ImportRun, ImportStage, Patient
from care_loops.selectors.batches import content
from care_loops.services.imports import Import, import_fhir
from governance.services.acting import acting_job
from tests.care_loops.fhir_cases import SNOMED, bundle, condition, order, panel, patient, write
from tests.care_loops.importing import LATER, NDC, pressures

pytestmark = pytest.mark.django_db


# The run as a whole


def test_an_import_that_breaks_off_leaves_whole_patients_and_can_be_run_again(tmp_path):
    people = [bundle(patient(f"p{n}"), panel(f"o{n}", 120, 80, who=f"Patient/p{n}")) for n in range(4)]
    paths = [write(tmp_path, f"{n}.json", each) for n, each in enumerate(people)]

    def read():
        for path in paths:
            with path.open("rb") as stream:
                yield from documents(path.name, stream)

    def broken(stage, done, _):
        if (stage, done) == ("patient", 2):
            raise KeyboardInterrupt

    how, by = Import(source_system="fhir"), acting_job("import_fhir", "1")
    with pytest.raises(KeyboardInterrupt):
        import_fhir(read, how, by=by, now=LATER, progress=broken)
    assert (Patient.objects.count(), BloodPressure.objects.count()) == (2, 2)
    counts = import_fhir(read, how, by=by, now=LATER, progress=lambda *_: None)
    assert (counts.patients, counts.stored, counts.unchanged) == (4, 4, 0)  # of the whole run, as if never broken
    assert ImportRun.objects.count() == 1
    stages = list(ImportStage.objects.order_by("pk").values_list("stage", "place"))
    assert stages == [
        *(("read", 0), ("mapped", 0), ("quarantined", 0)),
        *(("patient", 1), ("patient", 2), ("patient", 3), ("patient", 4), ("finished", 0)),
    ]
    in_one_go = Import(source_system="in one go")
    import_fhir(read, in_one_go, by=by, now=LATER, progress=lambda *_: None)
    assert content_of("fhir") == content_of("in one go")
    once, other = ImportStage.objects.filter(stage="finished").values_list("counts", flat=True)
    assert once == other  # counts and the digest of the content
    again = import_fhir(read, how, by=by, now=LATER, progress=lambda *_: None)
    assert (again.patients, again.unchanged, ImportRun.objects.count()) == (0, 8, 3)
    changed = bundle(patient("p0"), panel("o0", 121, 80, who="Patient/p0"))
    write(tmp_path, "0.json", changed)
    import_fhir(read, how, by=by, now=LATER, progress=lambda *_: None)
    newest = ImportStage.objects.filter(stage="finished").order_by("-pk").first()
    assert newest.counts["content"] != once["content"]


class BrokenPipe(StringIO):
    """A terminal that goes away once, in the middle of an import."""

    gone = False

    def write(self, text: str) -> int:
        if "1 of 3" in text and not self.gone:
            self.gone = True
            raise BrokenPipeError
        return super().write(text)


def test_a_broken_import_says_at_which_stage_and_where_it_goes_on(tmp_path):
    people = [bundle(patient(f"p{n}"), panel(f"o{n}", 120, 80, who=f"Patient/p{n}")) for n in range(3)]
    paths = [str(write(tmp_path, f"{n}.json", each)) for n, each in enumerate(people)]
    said = BrokenPipe()
    with pytest.raises(BrokenPipeError):
        call_command("import_fhir", *paths, stdout=StringIO(), stderr=said, progress=True)
    assert "Mapped: 3 patients" in said.getvalue()
    assert "after patient 1 of 3. Run it again: it goes on with patient 2." in said.getvalue()
    assert (Patient.objects.count(), ImportStage.objects.filter(stage="finished").exists()) == (1, False)
    call_command("import_fhir", *paths, stdout=StringIO(), stderr=said)
    places = ImportStage.objects.filter(stage="patient").values_list("place", flat=True)
    assert (sorted(places), ImportRun.objects.count(), Patient.objects.count()) == ([1, 2, 3], 1, 3)
    assert ImportStage.objects.filter(stage="finished").count() == 1


def content_of(source: str) -> str:
    """SHA-256 over what was stored from a source, without the names the rows got here."""
    rows = BloodPressure.objects.filter(source_system=source).select_related("patient").order_by("source_id")
    said = [(row.source_id, row.patient.source_id, sorted(content(row).items())) for row in rows]
    assert said
    return sha256(json.dumps(said).encode()).hexdigest()


def test_there_is_one_entry_for_a_patient_and_a_kind_of_evidence(imported):
    before = count_entries()
    imported(
        bundle(
            patient(),
            *[panel(f"o{n}", 120, 80, at=f"2026-03-{n + 1:02}T08:00:00Z") for n in range(20)],
            *[order(f"m{n}", NDC, status="stopped") for n in range(20)],
            *[condition(f"c{n}", SNOMED, "38341003") for n in range(20)],
        )
    )
    started, enrolled, conditions, lines, readings, done, finished = range(7)
    assert count_entries() - before == len((started, enrolled, conditions, lines, readings, done, finished))


def test_two_systems_may_use_the_same_ids(imported):
    whole = bundle(patient(), panel("o1", 120, 80))
    imported(whole, source="north")
    assert imported(whole, source="south")["patients"] == 1
    assert BloodPressure.objects.count() == 2


def test_folders_are_searched_and_other_files_left_alone(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    write(tmp_path / "a", "Patient.ndjson.gz", [patient()])
    write(inner, "Observation.NDJSON", [panel("o1", 120, 80)])
    (inner / "README.md").write_text("not FHIR")
    (inner / ".hidden.json").write_text("not FHIR")
    out = StringIO()
    call_command("import_fhir", str(tmp_path), json=True, stdout=out)
    counts = json.loads(out.getvalue())
    assert (counts["patients"], pressures(counts), counts["refused"]) == (1, (1, 0, 0), {})


@pytest.mark.parametrize(
    "options", [{"now": "tomorrow"}, {"now": "2026-01-01T00:00:00"}, {"zone": "Mars/Olympus"}, {"zone": "../etc"}]
)
def test_an_option_that_cannot_be_read_is_said_and_nothing_is_done(imported, options):
    with pytest.raises(CommandError):
        imported(bundle(patient()), **options)
    assert not Patient.objects.exists()


def test_a_path_that_does_not_exist_is_a_mistake():
    with pytest.raises(CommandError, match="no such file"):
        call_command("import_fhir", "/nowhere/at/all.json")


def test_people_read_words(tmp_path):
    out = StringIO()
    call_command("import_fhir", str(write(tmp_path, "a.json", bundle(patient(), panel("o1", 120, 80)))), stdout=out)
    assert "Blood pressures: 1 stored, 0 absent, 0 quarantined" in out.getvalue()
