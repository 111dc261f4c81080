"""`python -m audit.verify FILE.pdf`: what was drawn, signed and carried is found good, and anything else is named."""

import io
import random
import re
import zlib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from audit.reports import draw
from audit.services import certificates, signing_pdf
from audit.verify.__main__ import verify
from tests.audit.reports import cases


@cache
def plain() -> bytes:
    """A report as drawn."""
    with TemporaryDirectory() as folder:
        bundle = cases.write(cases.patient_history(loops=1), Path(folder) / "b.zip", report="decision_history")
        out = io.BytesIO()
        draw(bundle, out, sign=cases.statement)
        return out.getvalue()


def signed(data: bytes, *, key=cases.REPORT_KEY, certificate=None) -> bytes:
    """The same, signed by the hospital unless told otherwise."""
    out = io.BytesIO()
    held = certificate or cases.certificate()
    signing_pdf.sign(io.BytesIO(data), out, at=cases.NOON, key=key, certificate=held)
    return out.getvalue()


@cache
def report() -> bytes:
    """A report as it is handed out."""
    return signed(plain())


def verdict(data: bytes, folder: Path, *more: str) -> dict:
    """What the verifier says of a file."""
    (folder / "r.pdf").write_bytes(data)
    (folder / "policy").write_text(cases.POLICY)
    said = {"result": "unusable", "exit": 2, "failure": None}
    verify([str(folder / "r.pdf"), "--policy", str(folder / "policy"), *more], said)
    return said


def found(data: bytes, folder: Path) -> str:
    """The class of what the verifier finds first."""
    said = verdict(data, folder)
    assert said["exit"] in (1, 2)
    return said["failure"]["class"]


def updated(data: bytes, change) -> bytes:
    """The file with a later revision in which `change(writer)` was done."""
    writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def with_page(data: bytes, change) -> bytes:
    """The file, not signed, with the content of its second page changed in place by a later revision."""

    def do(writer):
        page = writer.root["/Pages"]["/Kids"][1]
        stream = page["/Contents"]
        assert change(stream.data) != stream.data
        fresh = generic.StreamObject(stream_data=change(stream.data))
        page["/Contents"] = writer.add_object(fresh)
        writer.update_container(page)

    return updated(data, do)


def test_a_report_as_it_is_handed_out_holds(tmp_path):
    said = verdict(report(), tmp_path)
    assert (said["exit"], said["failure"]) == (0, None)
    assert said["pages"] > 3
    assert said["signed"]["certificate_sha256"] == certificates.fingerprint(cases.certificate())
    assert said["signed"]["at"] == "D:20260301120000Z"


def test_a_report_drawn_again_is_the_same_bytes(tmp_path):
    said = verdict(report(), tmp_path, "--redraw")
    assert (said["exit"], said["failure"], said.get("redrawn")) == (0, None, {"bytes": len(plain())})


def test_what_the_digests_of_pages_do_not_hold_is_found_by_drawing_again(tmp_path):
    """A line moved, in place or by a later revision, and signed by the site itself: only drawing again shows it."""
    moved = with_page(plain(), lambda body: body + b"\n0 0 m 500 500 l S\n")
    one_byte = plain().replace(b"%PDF-1.7", b"%PDF-1.6", 1)
    for forged in (moved, one_byte):
        assert forged != plain()
        assert verdict(signed(forged), tmp_path)["exit"] == 0, "the power check: without it, it holds"
        said = verdict(signed(forged), tmp_path, "--redraw")
        assert (said["exit"], said["failure"]["class"]) == (1, "pdf-redraw")


def test_a_report_without_its_signature_is_not_one(tmp_path):
    assert found(plain(), tmp_path) == "pdf-signature"


def test_any_changed_byte_of_the_file_is_found(tmp_path):
    data, drawer = report(), random.Random(7)
    for _ in range(150):
        at = drawer.randrange(len(data))
        changed = data[:at] + bytes([data[at] ^ (1 << drawer.randrange(8))]) + data[at + 1 :]
        assert verdict(changed, tmp_path)["exit"] in (1, 2), at


def test_other_words_on_a_page_are_found_even_under_a_fresh_signature_of_the_hospital_s(tmp_path):
    forged = with_page(plain(), lambda body: body.replace(b"At a glance", b"At a glimpse", 1))
    assert found(signed(forged), tmp_path) == "pdf-page"
    assert verdict(signed(with_page(plain(), lambda body: body + b"\n")), tmp_path)["exit"] == 0


@pytest.mark.parametrize("laid_over", [b"/Im0 Do", b"BI /W 1 /H 1 ID x EI", b"/G0 gs", b"3 Tr"])
def test_what_could_cover_text_condemns_the_page(laid_over, tmp_path):
    assert found(signed(with_page(plain(), lambda body: body + b"\n" + laid_over)), tmp_path) == "pdf-page"


def test_an_annotation_over_a_page_condemns_it(tmp_path):
    def do(writer):
        page = writer.root["/Pages"]["/Kids"][0]
        note = generic.DictionaryObject(
            {
                generic.pdf_name("/Type"): generic.pdf_name("/Annot"),
                generic.pdf_name("/Subtype"): generic.pdf_name("/FreeText"),
                generic.pdf_name("/Rect"): generic.ArrayObject(generic.NumberObject(n) for n in (0, 0, 500, 500)),
                generic.pdf_name("/Contents"): generic.TextStringObject("approved by all"),
            }
        )
        page["/Annots"] = generic.ArrayObject([writer.add_object(note)])
        writer.update_container(page)

    assert found(signed(updated(plain(), do)), tmp_path) == "pdf-page"


def test_a_page_taken_out_or_shown_twice_is_found(tmp_path):
    def take(writer):
        kids = writer.root["/Pages"]["/Kids"]
        del kids[1]
        writer.update_container(kids)

    def swap(writer):
        kids = writer.root["/Pages"]["/Kids"]
        first, second = kids.raw_get(0), kids.raw_get(1)
        kids[0], kids[1] = second, first
        writer.update_container(kids)

    assert found(signed(updated(plain(), take)), tmp_path) in ("pdf-page", "pdf-pages")
    assert found(signed(updated(plain(), swap)), tmp_path) == "pdf-page"


def test_a_revision_after_the_signature_is_found(tmp_path):
    def nothing(writer):
        writer.root["/Lang"] = generic.TextStringObject("fr")
        writer.update_root()

    assert found(updated(report(), nothing), tmp_path) == "pdf-signature"


def test_a_certificate_that_the_log_does_not_name_is_found(tmp_path):
    key, other = cases.ec.derive_private_key(9, cases.ec.SECP256R1()), None
    other = cases.x509.load_pem_x509_certificate(certificates._draw_certificate(key, cases.ORIGIN, cases.NOON))
    assert found(signed(plain(), key=key, certificate=other), tmp_path) == "pdf-signature"


def test_another_bundle_in_place_of_the_one_drawn_from_is_found(tmp_path):
    other = cases.write(cases.accesses(3), tmp_path / "other.zip", report="access").read_bytes()

    def swap(writer):
        names = writer.root["/Names"]["/EmbeddedFiles"]["/Names"]
        fresh = generic.StreamObject(stream_data=other)
        spec = names[1]
        spec["/EF"]["/F"] = writer.add_object(fresh)
        writer.update_container(spec)

    assert found(signed(updated(plain(), swap)), tmp_path) == "pdf-note"


def test_a_file_cut_short_is_refused(tmp_path):
    data = report()
    for end in (0, 5, 100, len(data) // 2, len(data) - 1000, len(data) - 10):
        said = verdict(data[:end], tmp_path)
        assert said["exit"] in (1, 2)
        assert said["failure"]["class"] != "verifier-fault"


# -- hostile files ----------------------------------------------------------------------------------------------------


def made(*objects: bytes, root: bytes = b"1 0 R") -> bytes:
    """A PDF of these objects, numbered from 1."""
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, each in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, each)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for place in places:
        out += b"%010d 00000 n \n" % place
    out += b"trailer\n<< /Size %d /Root %b >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, root, table)
    return bytes(out)


def stream(data: bytes, said: bytes = b"") -> bytes:
    """A stream object."""
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(data), said, data)


BOMB = zlib.compress(bytes(200_000_000), 9)
CARRIES = b"<< /Names << /EmbeddedFiles << /Names [(bundle.zip) 2 0 R (pages.json) 2 0 R (pages.note) 2 0 R] >> >> >>"
HOSTILE = {
    "nothing": b"",
    "only a head": b"%PDF-1.7\n" + b" " * 100,
    "a comment without an end": b"%PDF-1.7\n" + b"%" * 200_000 + b"\nstartxref\n9\n%%EOF",
    "a table in a circle": b"%PDF-1.7\nxref\n0 0\ntrailer\n<< /Prev 9 >>\nstartxref\n9\n%%EOF\n" + b" " * 40,
    "a million objects": b"%PDF-1.7\nxref\n0 9999999\n" + b"0000000000 00000 n \n" * 3 + b"startxref\n9\n%%EOF\n",
    "nested without end": made(b"[" * 100_000),
    "a dictionary of itself": made(b"1 0 R"),
    "references in a circle": made(b"2 0 R", b"1 0 R"),
    "a string without an end": made(b"(" * 50_000),
    "hex without an end": made(b"<" + b"0" * 50_000),
    "many numbers": made(b"[" + b"1 " * 300_000 + b"]"),
    "attachments that are no streams": made(CARRIES, b"<< /EF << /F 1 0 R >> >>"),
    "a bomb": made(CARRIES, b"<< /EF << /F 3 0 R >> >>", stream(BOMB, b"/Filter /FlateDecode")),
    "a stream longer than the file": made(
        CARRIES, b"<< /EF << /F 3 0 R >> >>", b"<< /Length 99999999 >>\nstream\nx\nendstream"
    ),
    "a length that is itself": made(CARRIES, b"<< /EF << /F 3 0 R >> >>", b"<< /Length 3 0 R >>\nstream\nx\nendstream"),
    "encrypted": made(b"<< >>").replace(b"/Root", b"/Encrypt << >> /Root"),
    "the end of another": b"%PDF-1.7\n" + b"x" * 100 + b"\nstartxref\n99999999\n%%EOF\n",
    "a cross-reference stream": made(stream(b"", b"/Type /XRef")).replace(b"xref\n0", b"xrof\n0"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.timeout(20)
def test_a_hostile_file_is_refused_by_name(name, tmp_path):
    assert found(HOSTILE[name], tmp_path) in ("pdf-unreadable", "pdf-attachments", "not-a-zip", "file-unreadable")


def test_the_files_made_here_are_well_formed_but_for_what_is_hostile_in_them(tmp_path):
    assert verdict(made(b"<< >>"), tmp_path)["failure"]["detail"] == "something is not a dictionary"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_report_is_never_good_and_never_a_fault(tmp_path, data):
    whole = report()
    kind = data.draw(st.sampled_from(["cut", "put", "copy", "number"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    if kind == "cut":
        damaged = whole[:at] + whole[at + data.draw(st.integers(1, 200)) :]
    elif kind == "put":
        damaged = whole[:at] + data.draw(st.binary(min_size=1, max_size=30)) + whole[at:]
    elif kind == "copy":
        damaged = whole[:at] + whole[at : at + data.draw(st.integers(1, 500))] + whole[at:]
    else:
        numbers = [m.span() for m in re.finditer(rb"\b\d+\b", whole[-4000:])]
        start, end = data.draw(st.sampled_from(numbers))
        start, end = start + len(whole) - 4000, end + len(whole) - 4000
        damaged = whole[:start] + str(data.draw(st.integers(0, 10**9))).encode() + whole[end:]
    if damaged == whole:
        return
    said = verdict(damaged, tmp_path)
    assert said["exit"] in (1, 2)
    assert said["failure"]["class"] != "verifier-fault", said
