"""What left the table of entries is exported from its archives as if it had never left; what is not there is named."""

import zipfile

import pytest
from django.db import connections

from audit.bundles.selecting import Report, Selection
from audit.domain import Purpose
from audit.models import Entry
from audit.services.archives import bring_in
from audit.services.export_reading import pseudonym, snapshot
from audit.services.exporting import ExportRefused, Handing, export_bundle
from tests.audit.builders import complete, event, record
from tests.audit.outside import verdict
from tests.audit.test_segments import HOW, begun, detached, sealed, tomorrow  # noqa: F401  (fixtures)

pytestmark = [pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"]), pytest.mark.slow]
WHOLE = Selection(Report.EVERYTHING)


def of_patient(name: str) -> Selection:
    return Selection(Report.DECISION_HISTORY, subjects=(pseudonym(name),))


def exported(out, selection, archives):
    handing = Handing(Purpose.AUDIT, "auditor")
    return export_bundle(selection, may_read=lambda _: True, out=out, handing=handing, archives=archives, **HOW)


def lines(path, member: str) -> list[bytes]:
    with zipfile.ZipFile(path) as bundle:
        return bundle.read(member).splitlines()


@pytest.fixture
def before(sealed, tmp_path):  # noqa: F811
    """The same two exports, made while everything was still in the table."""
    for name, selection in (("whole", WHOLE), ("patient", of_patient("patient-3"))):
        exported(tmp_path / f"{name}-before.zip", selection, None)
    complete()
    return sealed


@pytest.mark.parametrize("name", ["whole", "patient"])
def test_with_its_archives_an_export_is_as_if_nothing_had_left(name, before, request, tmp_path):
    request.getfixturevalue("detached")
    made = exported(tmp_path / "after.zip", WHOLE if name == "whole" else of_patient("patient-3"), tmp_path)
    assert made.manifest.complete_objects
    assert not [each for each in made.manifest.left_out if each.why.startswith("detached")]
    old = tmp_path / f"{name}-before.zip"
    here = lines(tmp_path / "after.zip", "entries.jsonl")
    assert here[: len(lines(old, "entries.jsonl"))] == lines(old, "entries.jsonl")
    assert set(lines(old, "payloads.jsonl")) <= set(lines(tmp_path / "after.zip", "payloads.jsonl"))
    code, said = verdict(tmp_path / "after.zip")
    assert (code, said["failure"]) in {(0, None), (3, None)}
    assert said["entries"]["included"] == len(here)


def test_without_its_archive_it_is_named_and_counted(detached, tmp_path):  # noqa: F811
    (tmp_path / "elsewhere").mkdir()
    made = exported(tmp_path / "p.zip", of_patient("patient-3"), tmp_path / "elsewhere")
    left = {each.why: each.n for each in made.manifest.left_out if each.what == "entries"}
    assert left[f"detached:{detached.archive}"] == 255
    assert sum(left.values()) == made.manifest.size - made.manifest.entries
    assert not made.manifest.complete_objects
    assert verdict(tmp_path / "p.zip")[0] in (0, 3)


def test_of_two_archives_the_one_that_is_there_is_read(detached, tmp_path):  # noqa: F811
    from audit.services.segments import detach, seal

    record(*[event(f"more-{n}", subject="patient-3") for n in range(260)])
    complete()
    second = seal(until=tomorrow(), out=tmp_path, **HOW)
    complete()
    detach(2, archives=tmp_path, using="owner", **HOW)
    complete()
    both = exported(tmp_path / "both.zip", of_patient("patient-3"), tmp_path)
    (tmp_path / detached.archive).unlink()
    one = exported(tmp_path / "one.zip", of_patient("patient-3"), tmp_path)
    assert both.manifest.complete_objects
    assert {each.why for each in one.manifest.left_out if each.what == "entries"} == {
        "filter",
        f"detached:{detached.archive}",
    }
    assert 200 < one.manifest.entries < both.manifest.entries
    assert [verdict(tmp_path / name)[0] in (0, 3) for name in ("both.zip", "one.zip")] == [True, True]
    assert second.stop > detached.stop


def refused(tmp_path) -> str:
    with pytest.raises(ExportRefused) as refusal:
        exported(tmp_path / "none.zip", WHOLE, tmp_path)
    assert not (tmp_path / "none.zip").exists()
    return refusal.value.code


def test_an_altered_archive_is_refused_by_name(detached, tmp_path):  # noqa: F811
    path = tmp_path / detached.archive
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert refused(tmp_path) == "archive_differs"
    assert Entry.objects.filter(type="export.made").count() == 1  # the seal's own, and no other
    path.write_bytes(good)
    exported(tmp_path / "good.zip", WHOLE, tmp_path)


def test_an_archive_altered_together_with_its_row_is_refused_by_the_entry_that_sealed_it(detached, tmp_path, owner_db):  # noqa: F811
    from audit.bundles.writing import file_sha256

    path = tmp_path / detached.archive
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    members["entries.jsonl"] = members["entries.jsonl"].replace(b"close-windows", b"close-nothing")
    with zipfile.ZipFile(path, "w") as new:
        for name, data in sorted(members.items()):
            new.writestr(name, data)
    owner_db.execute("ALTER TABLE audit_segment DISABLE TRIGGER USER")
    try:
        owner_db.execute("UPDATE audit_segment SET archive_sha256 = %s", [file_sha256(path)])
    finally:
        _put_back(owner_db, "audit_segment")
    assert refused(tmp_path) == "archive_differs"


def test_an_archive_whose_entries_are_not_those_that_left_is_refused(detached, tmp_path, owner_db):  # noqa: F811
    owner_db.execute("ALTER TABLE audit_detached DISABLE TRIGGER USER")
    try:
        owner_db.execute("UPDATE audit_detached SET leaf_hash = sha256('x') WHERE position = 77")
    finally:
        _put_back(owner_db, "audit_detached")
    assert refused(tmp_path) == "archive_differs"


def _put_back(owner, table):
    from tests.audit.conftest import SEGMENT_GUARDS

    for _, name, *_ in (guard for guard in SEGMENT_GUARDS if guard[0] == table):
        owner.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def test_what_was_read_is_gone_with_the_export_and_nothing_can_be_written_in_it(detached, tmp_path):  # noqa: F811
    with snapshot(archives=tmp_path) as held, connections["default"].cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {held.relation}")
        assert cursor.fetchone()[0] == Entry.objects.count() + 255
        cursor.execute("SHOW transaction_read_only")
        assert cursor.fetchone() == ("on",)
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT to_regclass('pg_temp.entries_with_archived'), to_regclass('pg_temp.entries_archived')")
        assert cursor.fetchone() == (None, None)
    assert bring_in(None).missing[0].entries == 255
