"""A report is drawn from a bundle alone: the same bytes each time, nothing lost, readable by a person."""

import io
import os
import re
import subprocess
import sys
import tracemalloc
import unicodedata
from pathlib import Path

import pytest
from pypdf import PdfReader

from audit import words
from audit.bundles import Bundle, BundleInvalid
from audit.entries import pseudonym
from audit.reports import draw, fonts
from audit.reports.history import flat
from audit.reports.survey import survey
from tests.audit.reports import cases

ABOUT = pseudonym(cases.PATIENT, tenant_key=cases.TENANT)
KINDS = {
    "decision_history": (cases.patient_history, "patient"),
    "access": (lambda: cases.accesses(40), "patient"),
    "disclosures": (cases.disclosures, "patient"),
    "model": (cases.model_dossier, "model"),
    "period": (lambda: cases.patient_history(loops=2, synthetic=False), "period"),
    "decision": (lambda: cases.patient_history(loops=1), "decision"),
    "person": (lambda: cases.patient_history(loops=1), "person"),
    "everything": (lambda: cases.patient_history(loops=1), "everything"),
}


def drawn(bundle: Path) -> tuple[bytes, list[str]]:
    """The file and the text of its pages without white space, as a reader of another house extracts it."""
    out = io.BytesIO()
    report = draw(bundle, out)
    pages = [squeezed(page.extract_text()) for page in PdfReader(io.BytesIO(out.getvalue())).pages]
    assert len(pages) == report.pages == len(report.page_texts)
    return out.getvalue(), pages


def squeezed(text: str) -> str:
    """Without white space: where lines break is the drawing's business."""
    return "".join(text.split())


def scalars(value):
    """Every text and number in an entry."""
    match value:
        case dict():
            for name, inside in value.items():
                if name not in ("v", "subject"):
                    yield from scalars(inside)
        case list():
            for inside in value:
                yield from scalars(inside)
        case None | bool():
            return
        case _:
            yield str(value)


def missing(bundle: Path, text: str) -> list[tuple[int, str]]:
    """What the entries and payloads of a bundle say, and the text of its report does not."""
    lost = []
    with Bundle.open(bundle) as opened:
        said = {str(p.entry_id): p.said() for p in opened.payloads()}
        for each in opened.entries():
            expected = [fonts.visible(word, fonts.MONO) for word in scalars(each.entry)]
            for label, value in flat(said.get(each.entry["id"], {})):
                expected += [label, value]
            lost += [(each.position, word) for word in expected if squeezed(word).casefold() not in text]
    return lost


@pytest.mark.parametrize("report", KINDS)
def test_the_text_has_every_field_of_every_entry_and_payload(report, tmp_path):
    make, kind = KINDS[report]
    bundle = cases.write(make(), tmp_path / "b.zip", kind=kind, report=report, subject=ABOUT)
    _, pages = drawn(bundle)
    assert missing(bundle, "".join(pages).casefold()) == []


def test_a_field_that_is_not_drawn_would_be_noticed(tmp_path):
    bundle = cases.write(cases.patient_history(), tmp_path / "b.zip", report="decision_history")
    _, pages = drawn(bundle)
    text = "".join(pages).casefold()
    lost = missing(bundle, text.replace("regimenchanged", "").replace("agrees_with_plan", ""))
    assert {word for _, word in lost} >= {"agrees_with_plan"}


def test_the_same_bundle_is_the_same_bytes_in_another_process_another_zone_and_another_day(tmp_path):
    bundle = cases.write(cases.patient_history(), tmp_path / "b.zip", report="decision_history", subject=ABOUT)
    here, _ = drawn(bundle)
    there = tmp_path / "there.pdf"
    program = "import sys, pathlib, audit.reports as r; r.draw(pathlib.Path(sys.argv[1]), open(sys.argv[2], 'wb'))"
    elsewhere = os.environ | {"TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1", "PYTHONHASHSEED": "7", "LC_ALL": "C"}
    subprocess.run([sys.executable, "-c", program, bundle, there], check=True, env=elsewhere, timeout=120)
    assert here == there.read_bytes()


def test_another_bundle_is_other_bytes(tmp_path):
    one = cases.write(cases.patient_history(), tmp_path / "1.zip", report="decision_history")
    other = cases.write(
        cases.patient_history(free_text="Said otherwise."), tmp_path / "2.zip", report="decision_history"
    )
    assert drawn(one)[0] != drawn(other)[0]


def test_signatures_show_printed_name_date_and_time_meaning_and_how_they_were_made(tmp_path):
    _, pages = drawn(cases.write(cases.patient_history(), tmp_path / "b.zip", report="decision_history"))
    text = "".join(pages)
    for said in (
        "Signed by Dr. Ana Šimić-Ångström",
        "on 15 Mar 2026, 12:00:00 UTC, meaning: “approves this change”",
        "meaning: “sets this target”",
        "signed-in session: attested by the application, not by a key of the person's own",
    ):
        assert squeezed(said) in text


def test_every_page_says_which_of_how_many_it_is_and_which_bundle_it_shows(tmp_path):
    bundle = cases.write(cases.patient_history(loops=6), tmp_path / "b.zip", report="decision_history")
    out = io.BytesIO()
    report = draw(bundle, out)
    pages = [squeezed(page.extract_text()) for page in PdfReader(out).pages]
    assert report.pages > 10
    for number, text in enumerate(pages, start=1):
        assert text.endswith(f"Page{number}of{report.pages}")
        assert report.bundle_sha256 in text


def test_synthetic_people_are_called_that_on_every_page_and_others_never(tmp_path):
    _, simulated = drawn(cases.write(cases.patient_history(), tmp_path / "1.zip", report="decision_history"))
    _, real = drawn(cases.write(cases.patient_history(synthetic=False), tmp_path / "2.zip", report="decision_history"))
    assert all("SIMULATION" in text for text in simulated)
    assert not any("SIMULATION" in text for text in real)


HOSTILE = (
    "<b>bold</b><img src='http://169.254.169.254/latest'/> &amp; <font color=red>",
    "{{7*7}} %s {0.__class__} ${IFS}",
    ") Tj ET Q (injected) Tj \\) \\\\ endstream endobj",
    "pay \u202e100\u202c \u2066x\u2069 zero\u200bwidth \x07bell \x00nul",
    "Žofia Nguyễn-O’Brien Đặng Þórðr Ἀθηνᾶ Жанна",
    "漢字 שלום مرحبا 😀 \U000e0041",
    "a\nb\r\nc\td",
    "x" * 1500,
    "=cmd|'/c calc'!A1",
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_free_text_is_drawn_literally_and_what_cannot_be_drawn_is_named(text, tmp_path):
    bundle = cases.write(
        cases.patient_history(loops=1, free_text=unicodedata.normalize("NFC", text)), tmp_path / "b.zip"
    )
    _, pages = drawn(bundle)
    shown = squeezed(fonts.visible(unicodedata.normalize("NFC", text)).replace("\n", "↵"))
    assert shown in "".join(pages)
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Co", "Cn") for char in "".join(pages))


def test_invisible_and_turning_characters_become_their_numbers():
    assert fonts.visible("a\u202eb") == "a[U+202E]b"
    assert fonts.visible("\u200d\ufeff\x1b") == "[U+200D][U+FEFF][U+001B]"
    assert fonts.visible("漢 ש") == "[U+6F22] [U+05E9]"
    assert fonts.visible("Šimić Nguyễn") == "Šimić Nguyễn"


def test_no_line_is_wider_than_its_room():
    for text in ("word " * 300, "x" * 3000, "𝔘nder " * 50, " lead and  double  blanks "):
        for line in fonts.wrap(fonts.visible(text), fonts.TEXT, 8, 200):
            assert fonts.width(line, fonts.TEXT, 8) <= 200.01
    assert fonts.width("x" * 100, fonts.TEXT, 8) > 200


def test_breaking_lines_loses_nothing():
    for text in ("one two three " * 40, "x" * 900, "a b  c\nd", ""):
        joined = squeezed("".join(fonts.wrap(text, fonts.TEXT, 8, 100)))
        assert joined == squeezed(text.replace("\n", "↵"))


def test_what_is_withheld_and_what_was_destroyed_is_said_where_it_would_stand(tmp_path):
    _, pages = drawn(cases.write(cases.patient_history(), tmp_path / "b.zip", report="decision_history"))
    text = "".join(pages)
    assert squeezed("not shown to this reader; its commitment stands below") in text
    assert squeezed("destroyed for good, by an act in this record; its commitment stands below") in text
    assert "secretwords" not in text
    assert "forgottenwords" not in text


def test_what_a_filter_left_out_is_counted_with_its_proof(tmp_path):
    bundle = cases.write(cases.patient_history(), tmp_path / "b.zip", keep=[0, 1, 6, 7, 8, 9], report="decision")
    text = "".join(drawn(bundle)[1])
    assert (
        squeezed("6 of them are in this report and 25 are not; those are represented by hashes over 2 stretches")
        in text
    )
    assert squeezed("25 entries: outside what was asked for") in text


def test_a_report_of_nothing_says_so(tmp_path):
    _, pages = drawn(cases.write(cases.patient_history(), tmp_path / "b.zip", kind="period", keep=[], report="period"))
    assert squeezed("No act matches what was asked for.") in "".join(pages)
    assert squeezed("No act in this report is signed by a person.") in "".join(pages)


def test_a_report_of_one_act(tmp_path):
    _, pages = drawn(cases.write(cases.patient_history(), tmp_path / "b.zip", kind="period", keep=[3], report="period"))
    assert squeezed("Blood pressure target signed") in "".join(pages)


def test_accesses_stand_in_a_table_with_who_what_why_and_how_it_ended(tmp_path):
    text = "".join(drawn(cases.write(cases.accesses(40), tmp_path / "b.zip", report="access"))[1])
    assert squeezed("Who looked, when and why") in text
    assert "not_in_care_team" in text
    assert "Refused" in text
    assert squeezed("Emergency access (break-glass)") in text


def test_disclosures_state_date_recipient_description_and_purpose(tmp_path):
    text = "".join(drawn(cases.write(cases.disclosures(), tmp_path / "b.zip", report="disclosures"))[1])
    for said in ("Public Health Office, Ústí nad Labem", "Main Street 1", "1 Mar 2026", "reportable condition"):
        assert squeezed(said) in text
    nothing = "".join(drawn(cases.write(cases.accesses(3), tmp_path / "n.zip", report="disclosures"))[1])
    assert squeezed("No disclosure that must be accounted for is in the record") in nothing


def test_the_verification_sheet_states_size_root_checkpoint_and_calls_cosignatures_a_claim(tmp_path):
    bundle = cases.write(cases.patient_history(), tmp_path / "b.zip", report="decision_history")
    out = io.BytesIO()
    report = draw(bundle, out)
    sheet = squeezed(PdfReader(out).pages[-1].extract_text())
    with Bundle.open(bundle) as opened:
        (checkpoint,) = opened.checkpoints()
        expected = [
            str(opened.manifest.size),
            opened.manifest.root.hex(),
            checkpoint.note.decode(),
            report.bundle_sha256,
        ]
    for said in [*expected, "python -m audit.verify", "As claimed: verify it with your own policy file."]:
        assert squeezed(said) in sheet


def test_fonts_are_embedded_and_nothing_in_the_file_acts_by_itself(tmp_path):
    data, _ = drawn(cases.write(cases.patient_history(), tmp_path / "b.zip", report="decision_history"))
    for page in PdfReader(io.BytesIO(data)).pages:
        for font in page["/Resources"]["/Font"].values():
            assert "/FontFile2" in font["/FontDescriptor"]
    outside_streams = re.sub(rb"(?<!end)stream\n.*?endstream", b"", data, flags=re.DOTALL)
    for word in (b"/JavaScript", b"/JS", b"/OpenAction", b"/Launch", b"/URI", b"/AA", b"/XFA", b"/SubmitForm"):
        assert not re.search(word + rb"[^A-Za-z]", outside_streams)


def test_progress_is_told_up_to_the_end(tmp_path):
    bundle = cases.write(cases.patient_history(loops=20), tmp_path / "b.zip", report="decision_history")
    told = []
    draw(bundle, io.BytesIO(), progress=lambda done, total: told.append((done, total)))
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] > 100


def test_memory_does_not_grow_with_what_is_on_the_pages(tmp_path):
    def peak(loops: int) -> tuple[int, int]:
        bundle = cases.write(cases.patient_history(loops=loops, free_text="y" * 3000), tmp_path / f"{loops}.zip")
        draw(cases.write(cases.accesses(1), tmp_path / "warm.zip"), io.BytesIO())
        tracemalloc.start()
        with (tmp_path / "out.pdf").open("wb") as out:
            pages = draw(bundle, out).pages
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return pages, most

    (few, small), (many, large) = peak(10), peak(100)
    assert many > few + 200
    assert (large - small) / (many - few) < 12_000  # a page laid out is about 10 kB of text and as much of operators


@pytest.mark.parametrize("junk", [b"", b"PK\x05\x06" + bytes(18), b"%PDF-1.7", os.urandom(5000)])
def test_what_is_no_bundle_is_refused_by_name(junk, tmp_path):
    (tmp_path / "b.zip").write_bytes(junk)
    with pytest.raises(BundleInvalid):
        draw(tmp_path / "b.zip", io.BytesIO())


@pytest.mark.parametrize("depth", [800, 200_000])
def test_content_nested_without_end_is_refused_by_name(depth, tmp_path):
    case = cases.patient_history(loops=1)
    case.forged[2] = b'{"nested":' + b"[" * depth + b"1" + b"]" * depth + b"}"
    with pytest.raises(BundleInvalid, match=r"too-deep|payload"):
        draw(cases.write(case, tmp_path / "b.zip"), io.BytesIO())


@pytest.mark.parametrize(
    "body", [b"[1,2]", b'"text"', b"{}", b'{"a":{"b":{"c":[{"d":1},2,null]}},"":""}', b"1e400", b"NaN"]
)
def test_content_of_any_shape_is_drawn(body, tmp_path):
    case = cases.patient_history(loops=1)
    case.forged[2] = body
    assert draw(cases.write(case, tmp_path / "b.zip"), io.BytesIO()).pages > 3


def test_a_kind_of_report_not_known_here_is_a_history_with_a_title_of_its_own(tmp_path):
    bundle = cases.write(cases.patient_history(loops=1), tmp_path / "b.zip", report="quarterly_" + "x" * 300)
    _, pages = drawn(bundle)
    assert "Quarterlyxxx" in pages[0]
    assert "History" in "".join(pages)


def test_people_who_did_not_sign_have_the_name_that_the_manifest_gives(tmp_path):
    named = {f"name_{cases.NURSE.id.replace('-', '_')}": "Přemysl Žďárský, PharmD"}
    text = "".join(drawn(cases.write(cases.accesses(9), tmp_path / "b.zip", report="access", **named))[1])
    assert squeezed("Přemysl Žďárský, PharmD") in text


def test_each_signature_is_counted_and_listed_once(tmp_path):
    bundle = cases.write(cases.patient_history(loops=2), tmp_path / "b.zip", report="decision_history")
    with Bundle.open(bundle) as opened:
        found = survey(opened)
    assert found.signatures == 4  # a target, a boundary, two decisions; six entries carry them


def test_the_words_of_codes_are_those_of_the_pages():
    from care_loops.presenters import vocabulary

    sets = [held for name, held in vars(vocabulary).items() if name.isupper() and isinstance(held, dict)]
    said: dict[str, set[str]] = {}
    for held in sets:
        for code, text in held.items():
            said.setdefault(str(getattr(code, "value", code)), set()).add(text[0] if isinstance(text, tuple) else text)
    here = words.table()["codes"]
    known = {code: texts.pop() for code, texts in said.items() if len(texts) == 1 and code in here}
    assert len(known) > 150
    stale = {code: text for code, text in known.items() if here[code] != text}
    assert stale == {}, f"the pages say it otherwise now: put these into `codes` of audit/words.json: {stale}"
