"""The record's pages: what stands there, for whom, and that a proof shown is a proof computed."""

import base64
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from audit import merkle, notes
from audit.bundles.selecting import Report
from audit.domain import Job
from audit.models import Entry, Export
from audit.selectors import payload_of
from audit.services.export_reading import pseudonym
from audit.services.genesis import found_log
from audit.services.searching import Wanted, search, stored_entry
from audit.services.self_check import last_check, verify_and_record
from audit.services.shredding import Lawful, shred_payload
from care_loops.domain.loops import LoopState
from care_loops.tasks import write_export
from governance.domain import Role
from governance.presenters.record import attested_only
from tests.audit.builders import complete
from tests.factories import Hospital
from tests.signing_in import confirmed, signed_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])


def at_work() -> Hospital:
    """A hospital with an auditor and a compliance officer; Mary's change was delivered, Otto is another's patient."""
    now = timezone.now().replace(microsecond=0)
    found_log(by=Job("sequencer", "1"), now=now)
    hospital = Hospital(now=now - timedelta(days=1))
    for name, role in (("auditor", Role.AUDITOR), ("officer", Role.COMPLIANCE_OFFICER)):
        hospital.join(name, role, now=now - timedelta(days=300))
    hospital.loop = hospital.loop_at(LoopState.DELIVERED)
    hospital.mary = hospital.loop.patient
    complete()
    return hospital


@pytest.fixture
def site(built, settings, tmp_path) -> Hospital:
    settings.AUDIT_EXPORTS_DIR = tmp_path / "exports"
    return built.once(at_work, fresh_s=120)


@pytest.fixture
def desk(site):
    """A function from a member of staff to a browser they have signed in with."""
    return lambda name: signed_in(site.people[name])


def text_of(answer) -> str:
    return answer.content.decode()


def entry_of(kind, **more) -> Entry:
    return Entry.objects.filter(type=kind, **more).order_by("-position").first()


def newest_look() -> dict:
    complete()
    return payload_of(entry_of("access.read").entry_id)


# --- the state --------------------------------------------------------------------------------------------------------


def test_auditors_land_on_the_record_and_read_its_state_in_words(desk):
    browser = desk("auditor")
    assert browser.get("/")["Location"] == "/audit/"
    html = text_of(browser.get("/audit/"))
    entries = Entry.objects.count()
    assert f"{entries:,}" in html
    assert "<svg" in html
    assert "of which signed" in html
    assert "No outside witness is set up" in html
    assert "style=" not in html
    assert 'aria-current="page">Record' in html


def test_a_record_that_never_verified_itself_says_so_and_one_that_did_says_when(desk):
    browser = desk("officer")
    assert "has not verified itself yet" in text_of(browser.get("/audit/"))
    report = verify_and_record(by=Job("verify-record", "1"), now=timezone.now())
    assert report.verified
    html = text_of(browser.get("/audit/"))
    assert "has not verified itself" not in html
    assert "all held" in html


def test_a_changed_entry_is_an_alarm_on_the_page_and_in_the_health_of_the_house(site, desk):
    """The defect is real: the owner of the tables changes one byte, as no role of ours can."""
    from django.db import connections

    victim = entry_of("recommendation.proposed")
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
        cursor.execute("UPDATE audit_entry SET outcome = 'denied' WHERE position = %s", [victim.position])
        cursor.execute("ALTER TABLE audit_entry ENABLE TRIGGER ALL")
    verify_and_record(by=Job("verify-record", "1"), now=timezone.now())
    html = text_of(desk("auditor").get("/audit/"))
    assert f"did not verify at position {victim.position:,}" in html
    assert last_check().verified is False
    assert desk("auditor").get("/health/ready").json()["record"]["verified"] is False


# --- searching --------------------------------------------------------------------------------------------------------


def found(browser, **terms) -> str:
    return text_of(browser.get("/audit/search/", terms))


def test_search_finds_by_who_what_when_whom_and_how_it_ended_together(site, desk):
    browser = desk("auditor")
    approved = entry_of("recommendation.approved")
    about = pseudonym(site.mary.pk)
    terms = {
        "who": "clinician",
        "kind": "recommendation.approved",
        "about": about,
        "thing": str(site.loop.pk),
        "since": "2020-01-01T00:00",
        "until": "2100-01-01T00:00",
        "outcome": "ok",
    }
    html = found(browser, **terms)
    assert str(approved.entry_id) in html
    assert html.count("/audit/entries/") == 1
    assert "Clinician Example" in html
    for name, other in (
        ("who", "pharmacist"),
        ("kind", "log.genesis"),
        ("about", "0" * 64),
        ("thing", str(uuid4())),
        ("until", "2020-01-02T00:00"),
        ("outcome", "denied"),
    ):
        html = found(browser, **{**terms, name: other})
        assert "No entry matches" in html, name


def test_what_was_searched_for_is_recorded_and_nothing_else(site, desk):
    browser = desk("auditor")
    complete()
    before = Entry.objects.count()
    found(browser, who="clinician", kind="recommendation")
    complete()
    assert Entry.objects.count() == before + 1
    said = newest_look()
    assert said["what"] == "search of the record"
    assert said["terms"]["actor"] == str(site.people["clinician"].pk)
    assert "recommendation.approved" in said["terms"]["kinds"].split()


def test_a_patient_of_the_site_is_never_named(site, desk):
    """Neither as the one it is about nor as the one who acted (SECURITY 2.3 A21)."""
    browser = desk("auditor")
    names = {site.mary.given_name, site.mary.shown_name, site.mary.account.username, site.mary.account.printed_name}
    html = found(browser, about=pseudonym(site.mary.pk)) + found(browser, who=str(site.mary.account_id))
    for row in Entry.objects.filter(subject=pseudonym(site.mary.pk))[:5]:
        html += text_of(browser.get(f"/audit/entries/{row.entry_id}/"))
    assert "A patient or carer" in html
    assert [name for name in names if name in html] == []
    assert "Nobody on the staff signs in as" in found(browser, who=site.mary.account.username)


def test_pages_follow_each_other_while_the_log_grows(site):
    first = search(Wanted(), limit=7)
    complete()
    seen, below = [line.position for line in first.lines], first.below
    while below is not None:
        page = search(Wanted(), below=below, limit=7)
        seen += [line.position for line in page.lines]
        below = page.below
    assert seen == list(range(seen[0], -1, -1))


BAD = [
    ({"about": "mary"}, "This is no pseudonym"),
    ({"who": "nobody"}, "Nobody on the staff signs in as"),
    ({"who": "a\x00b"}, "Null characters are not allowed"),
    ({"since": "yesterday"}, "Enter a valid date"),
    ({"since": "2026-03-02T00:00", "until": "2026-03-01T00:00"}, "The range ends before it begins"),
    ({"kind": "no.such"}, "Select a valid choice"),
    ({"outcome": "<b>"}, "Select a valid choice"),
    ({"below": "-1"}, "greater than or equal to 0"),
    ({"below": "9" * 30}, "less than or equal to"),
]


def test_bad_input_is_named_and_nothing_is_looked_for(desk):
    browser = desk("auditor")
    for terms, said in BAD:
        answer = browser.get("/audit/search/", terms)
        assert answer.status_code == 422, terms
        assert said in text_of(answer), terms
    complete()
    assert not Entry.objects.filter(type="access.read", object_type="list", object_id="record").exists()


# --- one entry --------------------------------------------------------------------------------------------------------


def test_an_entry_shows_all_it_says_its_bytes_its_chain_and_a_proof_that_anybody_can_check(site, desk):
    browser = desk("auditor")
    row = entry_of("recommendation.approved")
    html = text_of(browser.get(f"/audit/entries/{row.entry_id}/"))
    assert "Recommendation approved" in html
    assert bytes(row.leaf_hash).hex() in html
    assert "The entry before" in html
    said = stored_entry(row.entry_id).entry
    assert said["esign"]["method"] == "webauthn"
    assert "by a key of their own" in html
    assert "attested by the application" not in html
    for method in ("session", "password_totp"):
        assert attested_only({**said, "esign": {**said["esign"], "method": method}})
    assert "It holds." in html
    leaf = browser.get(f"/audit/entries/{row.entry_id}/proof/?part=leaf").content
    text = browser.get(f"/audit/entries/{row.entry_id}/proof/").content
    head, _, note = text.partition(b"\n\n")
    lines = head.decode().split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1] == f"index {row.position}"
    path = [base64.b64decode(line) for line in lines[2:]]
    said = notes.TreeHead.parse(notes.parse(note).text)
    merkle.check_inclusion(index=row.position, size=said.size, leaf=merkle.leaf_hash(leaf), proof=path, root=said.root)
    with pytest.raises(merkle.ProofInvalid):
        merkle.check_inclusion(
            index=row.position, size=said.size, leaf=merkle.leaf_hash(leaf + b" "), proof=path, root=said.root
        )
    assert len(re.findall(r"With the hash beside it", html)) == len(path)


def test_every_entry_has_its_page_and_every_proof_holds(site, desk):
    browser = desk("auditor")
    ids = list(Entry.objects.order_by("type", "position").distinct("type").values_list("entry_id", flat=True))
    assert len(ids) > 20
    for entry_id in ids:
        html = text_of(browser.get(f"/audit/entries/{entry_id}/"))
        assert "It holds." in html, stored_entry(entry_id)


def test_an_entry_whose_bytes_were_changed_is_said_to_be(site, desk):
    from django.db import connections

    row = entry_of("recommendation.approved")
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
        cursor.execute(
            "UPDATE audit_entry SET leaf = replace(convert_from(leaf, 'UTF8'), 'clinician', 'pharmacist')::bytea"
            " WHERE position = %s",
            [row.position],
        )
        cursor.execute("ALTER TABLE audit_entry ENABLE TRIGGER ALL")
    html = text_of(desk("auditor").get(f"/audit/entries/{row.entry_id}/"))
    assert "This entry is not as it was written" in html
    assert "It does not hold" in html
    assert "It holds." not in html


def test_content_is_withheld_from_who_may_not_read_the_record_and_opens_for_who_may(site, desk):
    row = entry_of("recommendation.proposed")
    where = f"/audit/entries/{row.entry_id}/content/"
    withheld = text_of(desk("auditor").get(where))
    assert "Withheld" in withheld
    assert "lisinopril" not in withheld
    site.also("clinician", Role.AUDITOR)
    shown = text_of(desk("clinician").get(where))
    assert "<strong>Withheld" not in shown
    assert "lisinopril" in shown
    complete()
    look = entry_of("access.read", object_id=str(row.entry_id))
    assert look.subject == pseudonym(site.mary.pk)
    genesis = entry_of("log.genesis")
    genesis_content = text_of(desk("auditor").get(f"/audit/entries/{genesis.entry_id}/content/"))
    assert "<strong>Withheld" not in genesis_content


def test_what_was_destroyed_is_said_to_be(site, desk):
    from audit.services.searching import payload_id_of

    row = entry_of("recommendation.proposed")
    payload_id, kept = payload_id_of(row.entry_id)
    assert kept
    by = site.acting("officer").actor
    shred_payload(payload_id, lawful=Lawful("gdpr-art-17", "admin"), by=by, now=timezone.now())
    html = text_of(desk("auditor").get(f"/audit/entries/{row.entry_id}/"))
    assert "Destroyed for good" in html


def test_a_patient_is_found_by_identifier_and_the_look_is_about_them(site, desk):
    browser = desk("auditor")
    answer = browser.post("/audit/patients/", {"record_id": str(site.mary.pk)})
    assert answer["Location"] == f"/audit/search/?about={pseudonym(site.mary.pk)}"
    complete()
    assert entry_of("access.read").subject == pseudonym(site.mary.pk)
    assert "by name" not in text_of(browser.get("/audit/patients/")).split("No patient")[0]
    for bad, said in (("x", "This is no identifier"), ("", "Give one patient")):
        answer = browser.post("/audit/patients/", {"record_id": bad})
        assert answer.status_code == 422
        assert said in text_of(answer)
    assert browser.post("/audit/patients/", {"record_id": str(uuid4())}).status_code == 404


# --- exports ----------------------------------------------------------------------------------------------------------


def test_an_export_is_asked_for_watched_taken_and_verified(site, desk, tmp_path):
    from tests.audit.outside import verdict

    browser = desk("auditor")
    assert '>Asked for so far <span class="count">0</span></h2>' in text_of(browser.get("/audit/exports/"))
    form = text_of(browser.get("/audit/exports/?report=period"))
    assert 'name="since"' in form
    assert 'name="patient"' not in form
    sent = {
        "key": "e" * 12,
        "report": "period",
        "since": "2020-01-01T00:00",
        "purpose": "",
        "recipient": "The regulator",
    }
    assert browser.post("/audit/exports/", sent).status_code == 303
    assert browser.post("/audit/exports/", sent).status_code == 303
    export = Export.objects.get()
    waiting = text_of(browser.get("/audit/exports/"))
    assert "Waiting for a worker" in waiting
    assert "<progress" in waiting
    assert "every 3s" in waiting
    complete()
    assert write_export(str(export.pk))
    ready = text_of(browser.get("/audit/exports/"))
    assert "Ready" in ready
    assert "every 3s" not in ready
    assert "python -m audit.verify period-" in ready
    assert "The regulator" in ready
    bundle = browser.post(f"/audit/exports/{export.pk}/file/", {"file": "bundle"})
    path = tmp_path / "taken.zip"
    path.write_bytes(b"".join(bundle.streaming_content))
    code, report = verdict(path)
    assert code in (0, 3), report
    pdf = browser.post(f"/audit/exports/{export.pk}/file/", {"file": "report"})
    assert b"".join(pdf.streaming_content).startswith(b"%PDF")
    assert desk("officer").post(f"/audit/exports/{export.pk}/file/", {}).status_code == 404
    assert "Handed only to who asked" in text_of(desk("officer").get("/audit/exports/"))


def test_an_export_that_cannot_be_is_refused_beside_its_field_or_fails_in_words(site, desk):
    browser = desk("clinician")
    offered = text_of(browser.get("/audit/exports/"))
    assert Report.EVERYTHING.value not in offered
    answer = browser.post(
        "/audit/exports/", {"key": "x" * 12, "report": "decision_history", "purpose": "", "recipient": ""}
    )
    assert answer.status_code == 422
    assert "Say which patient" in text_of(answer)
    foreign = {"key": "y" * 12, "report": "decision_history", "patient": str(uuid4()), "purpose": "", "recipient": ""}
    assert browser.post("/audit/exports/", foreign).status_code == 404
    officer = desk("officer")
    sent = {"key": "z" * 12, "report": "period", "until": "2001-01-01T00:00", "purpose": "", "recipient": ""}
    officer.post("/audit/exports/", sent)
    write_export(str(Export.objects.get().pk))
    assert "nothing in the record is what was asked for" in text_of(officer.get("/audit/exports/"))


def test_an_export_is_offered_only_the_purposes_of_the_role(site, desk):
    for who, report, fit, unfit in (
        ("auditor", "period", "audit", "treatment"),
        ("officer", "period", "legal", "treatment"),
        ("clinician", "decision_history", "treatment", "break_glass"),
    ):
        browser = desk(who)
        page = text_of(browser.get(f"/audit/exports/?report={report}"))
        assert f'<option value="{fit}">' in page
        assert f'<option value="{unfit}">' not in page
    sent = {"key": "q" * 12, "report": "period", "since": "2020-01-01T00:00", "purpose": "treatment", "recipient": ""}
    answer = desk("auditor").post("/audit/exports/", sent)
    assert answer.status_code == 422
    assert "treatment is not one of the available choices" in text_of(answer)
    assert not Export.objects.exists()


def test_how_to_verify_is_open_to_everybody_and_tells_nothing_of_the_record(site, client):
    answer = client.get("/audit/verify/")
    assert answer.status_code == 200
    assert "python -m audit.verify" in text_of(answer)
    assert str(Entry.objects.first().entry_id) not in text_of(answer)


# --- who may ----------------------------------------------------------------------------------------------------------

ROUTES = {
    "record": ("get", {"auditor", "officer"}),
    "record-search": ("get", {"auditor", "officer"}),
    "record-entry": ("get", {"auditor", "officer"}),
    "record-proof": ("get", {"auditor", "officer"}),
    "record-content": ("get", {"auditor", "officer"}),
    "record-patients": ("get post", {"auditor", "officer"}),
    "record-exports": ("get post", {"auditor", "officer", "clinician", "other_clinician"}),
    "record-export-file": ("post", {"auditor", "officer", "clinician", "other_clinician"}),
}
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")


def test_every_route_as_every_role_by_every_method_does_what_the_table_says_and_writes_only_looks(site):
    """Nobody changes anything here but by looking, asking for an export and reviewing."""
    from django.urls import get_resolver

    named = {key for key in get_resolver().reverse_dict if isinstance(key, str) and key.startswith("record")}
    assert named == {*ROUTES, "record-verify"}, "a new page of the record needs its row"
    entry = entry_of("recommendation.approved").entry_id
    args = {
        "record-entry": [entry],
        "record-proof": [entry],
        "record-content": [entry],
        "record-export-file": [uuid4()],
    }
    people = {name: user for name, user in site.people.items() if user.pk != site.mary.account_id}
    people["patient"] = site.mary.account
    complete()
    before, cells = Entry.objects.order_by("-position").first().position, 0
    for who, person in people.items():
        confirmed(person, by=site.people["admin"])
        browser = signed_in(person)
        for name, (methods, allowed) in ROUTES.items():
            where = reverse(name, args=args.get(name))
            for method in METHODS:
                status = getattr(browser, method)(where).status_code
                legal = {*methods.split(), *(["head"] if "get" in methods else [])}
                wanted = {405} if method not in legal else ({403} if who not in allowed else {200, 303, 404, 422})
                assert status in wanted, (who, method, where, status)
                cells += 1
    complete()
    kinds = set(Entry.objects.filter(position__gt=before).values_list("type", flat=True))
    assert kinds <= {"access.read", "access.denied", "login.succeeded", "credential.enrolled", "credential.confirmed"}
    assert "access.read" in kinds
    assert "access.denied" in kinds
    assert cells > 400
