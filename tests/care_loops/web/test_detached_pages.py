"""What was detached is found, shown with its archive and still proved; what cannot be looked for here is said."""

import base64
import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser

from audit import merkle, notes
from audit.models import Detached, Entry
from audit.services.export_reading import pseudonym
from audit.services.segments import detach, seal
from tests.audit.builders import JOB, complete, event, record
from tests.care_loops.web.test_browser import CHROMIUM, browser  # noqa: F401  (a fixture)
from tests.care_loops.web.test_record_in_a_browser import looked_at, sign_in
from tests.care_loops.web.test_record_in_a_browser import site as seen  # noqa: F401  (a fixture)
from tests.care_loops.web.test_record_pages import desk, found, site, text_of  # noqa: F401  (fixtures)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])


def detached_in(hospital, folder):
    """Everything so far leaves, and the hospital remembers what was about its patient."""
    hospital.gone = Entry.objects.filter(type="recommendation.approved").get()
    record(*[event(f"filling-{n}") for n in range(300)])
    complete()
    sealed = seal(until=timezone.now() + timedelta(days=1), out=folder, by=JOB, now=timezone.now())
    complete()
    detach(1, archives=folder, by=JOB, now=timezone.now(), using="owner")
    complete()
    return sealed


@pytest.fixture
def sealed(site, tmp_path):  # noqa: F811
    return detached_in(site, tmp_path)


def test_a_detached_entry_says_where_it_lies_and_its_proof_still_holds(site, sealed, desk):  # noqa: F811
    html = text_of(desk("auditor").get(reverse("record-entry", args=[site.gone.entry_id])))
    assert sealed.archive in html
    assert sealed.archive_sha256 in html
    assert f"entries 0 to {sealed.stop - 1}" in html
    assert "It still holds." in html
    assert bytes(site.gone.leaf_hash).hex() in html


def test_its_proof_is_handed_out_and_leads_from_its_archived_bytes_to_the_signed_root(site, sealed, desk):  # noqa: F811
    browser = desk("auditor")  # noqa: F811
    text = browser.get(reverse("record-proof", args=[site.gone.entry_id])).content.decode()
    head, _, note = text.partition("\n\n")
    _, index, *hashes = head.splitlines()
    size, root = note.splitlines()[1:3]
    merkle.check_inclusion(
        index=int(index.removeprefix("index ")),
        size=int(size),
        leaf=merkle.leaf_hash(bytes(site.gone.leaf)),
        proof=[base64.b64decode(each) for each in hashes],
        root=base64.b64decode(root),
    )
    assert notes.parse(note.encode()).signatures
    assert browser.get(reverse("record-proof", args=[site.gone.entry_id]), {"part": "leaf"}).status_code == 404


def test_a_changed_hash_of_what_left_is_no_proof(site, sealed, desk, owner_db):  # noqa: F811
    from tests.audit.test_detached_exports import _put_back

    owner_db.execute("ALTER TABLE audit_detached DISABLE TRIGGER USER")
    try:
        owner_db.execute("UPDATE audit_detached SET leaf_hash = sha256('x') WHERE entry_id = %s", [site.gone.entry_id])
    finally:
        _put_back(owner_db, "audit_detached")
    html = text_of(desk("auditor").get(reverse("record-entry", args=[site.gone.entry_id])))
    assert "It does not hold" in html


def test_search_finds_what_left_by_kind_object_time_and_outcome(site, sealed, desk):  # noqa: F811
    browser = desk("auditor")  # noqa: F811
    gone = f"/audit/entries/{site.gone.entry_id}/"
    for terms in ({"kind": "recommendation.approved"}, {"thing": str(site.loop.pk)}):
        html = found(browser, **terms)
        assert gone in html
        assert "detached" in html
    assert gone not in found(browser, kind="recommendation.approved", outcome="denied")
    assert gone not in found(browser, kind="recommendation.approved", until="2000-01-01T00:00")


def test_pages_of_a_search_go_on_from_the_table_into_what_left_without_a_gap(site, sealed, desk):  # noqa: F811
    browser, positions, older = desk("auditor"), [], "outcome="  # noqa: F811
    while older:
        html = text_of(browser.get(f"/audit/search/?{older}"))
        positions += [int(each) for each in re.findall(r"No\. (\d+) ·", html)]
        match = re.search(r'href="\?([^"]*)" rel="next"', html)
        older = match[1].replace("&amp;", "&") if match else ""
    looks = len(positions) // 50 + 3  # every look is an entry, still pending while one looks
    assert positions == list(range(positions[0], -1, -1))
    assert positions[0] + 1 >= Entry.objects.count() + Detached.objects.count() - looks


def test_by_person_and_patient_a_search_says_which_archives_it_cannot_look_into(site, sealed, desk):  # noqa: F811
    browser = desk("auditor")  # noqa: F811
    for terms in ({"about": pseudonym(site.mary.pk)}, {"who": "clinician"}):
        html = found(browser, **terms)
        assert "Part of this time was detached" in html
        assert sealed.archive in html
    later = {"about": pseudonym(site.mary.pk), "since": "2100-01-01T00:00"}
    assert "Part of this time was detached" not in found(browser, **later)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (CHROMIUM)")
def test_the_pages_of_what_left_fit_a_desk_and_a_phone(seen, browser: Browser, live_server, tmp_path):  # noqa: F811
    detached_in(seen, tmp_path)
    page = browser.new_context(base_url=live_server.url).new_page()
    sign_in(page, seen, "auditor")
    about = pseudonym(seen.gone.subject)
    looked_at(
        page, [f"/audit/entries/{seen.gone.entry_id}/", f"/audit/search/?about={about}", "/audit/search/?kind=loop"]
    )
