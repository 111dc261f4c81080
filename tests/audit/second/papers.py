"""Reports to judge twice: one as it is handed out, and such as were changed and, where a thief could, signed again.

Every case is a function of its seed and number alone. The thief holds the statement key and the report's own.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from audit.reports import draw
from audit.services import certificates, signing_pdf
from tests.audit.reports import cases

from .mutating import Case, bent

BYTES = "paper: bytes"  # what is not made to fit again: a reader may mend the file, and then finds it unsigned
STRANGER = ec.derive_private_key(9, ec.SECP256R1())


@cache
def bundles() -> tuple[bytes, bytes]:
    """The bundle that the report is drawn from, and another."""
    with TemporaryDirectory() as folder:
        drawn = cases.write(cases.patient_history(loops=1), Path(folder) / "b.zip", report="decision_history")
        other = cases.write(cases.accesses(3), Path(folder) / "o.zip", report="access")
        return drawn.read_bytes(), other.read_bytes()


@cache
def plain() -> bytes:
    """The report as drawn."""
    out = io.BytesIO()
    with TemporaryDirectory() as folder:
        (Path(folder) / "b.zip").write_bytes(bundles()[0])
        draw(Path(folder) / "b.zip", out, sign=cases.statement)
    return out.getvalue()


def signed(data: bytes, *, stranger: bool = False) -> bytes:
    """The same, signed by the hospital, or by somebody whom its log does not name."""
    key = STRANGER if stranger else cases.REPORT_KEY
    drawn = certificates._draw_certificate(key, cases.ORIGIN, cases.NOON) if stranger else b""
    held = x509.load_pem_x509_certificate(drawn) if stranger else cases.certificate()
    out = io.BytesIO()
    signing_pdf.sign(io.BytesIO(data), out, at=cases.NOON, key=key, certificate=held)
    return out.getvalue()


@cache
def report() -> bytes:
    """The report as it is handed out."""
    return signed(plain())


def updated(data: bytes, change: Callable[[Any], None]) -> bytes:
    """The file with a later revision in which `change(writer)` was done."""
    writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _page(change: Callable[[bytes], bytes], number: int) -> bytes:
    def do(writer: Any) -> None:
        page = writer.root["/Pages"]["/Kids"][number]
        page["/Contents"] = writer.add_object(generic.StreamObject(stream_data=change(page["/Contents"].data)))
        writer.update_container(page)

    return updated(plain(), do)


def _carrying(**members: bytes) -> bytes:
    """The report with other attachments; names as `bundle`, `pages`, `note`."""

    def do(writer: Any) -> None:
        names = writer.root["/Names"]["/EmbeddedFiles"]["/Names"]
        for at in range(0, len(names), 2):
            if (kept := str(names[at]).replace("pages.note", "note").partition(".")[0]) in members:
                spec = names[at + 1]
                spec["/EF"]["/F"] = writer.add_object(generic.StreamObject(stream_data=members[kept]))
                writer.update_container(spec)

    return updated(plain(), do)


def _listing() -> dict[str, Any]:
    names = IncrementalPdfFileWriter(io.BytesIO(plain()), strict=False).root["/Names"]["/EmbeddedFiles"]["/Names"]
    place = next(at for at in range(0, len(names), 2) if str(names[at]) == "pages.json")
    said: dict[str, Any] = json.loads(names[place + 1]["/EF"]["/F"].data)
    return said


# --- what is done to a report -----------------------------------------------------------------------------------------


def words_of_a_page(dice: random.Random) -> bytes:
    """A letter that is shown is another one, or a string is shown twice."""

    def change(body: bytes) -> bytes:
        places = [at for at in range(len(body) - 3) if body[at : at + 1] == b"(" and body[at + 1 : at + 3].isalpha()]
        at = dice.choice(places) + 1
        return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]

    return signed(_page(change, dice.randrange(3)))


def something_more_on_a_page(dice: random.Random) -> bytes:
    """What may cover text, what may not, and more text."""
    more = dice.choice([b"/Im0 Do", b"/G0 gs", b"3 Tr", b"0 0 9 9 re W n", b"/S0 sh", b"0 0 m 9 9 l S", b"", b"(A) Tj"])
    return signed(_page(lambda body: body + b"\n" + more + b"\n", dice.randrange(3)))


def order_of_pages(dice: random.Random) -> bytes:
    """A page taken out, or two exchanged."""

    def do(writer: Any) -> None:
        kids = writer.root["/Pages"]["/Kids"]
        one, two = dice.sample(range(len(kids)), 2)
        if dice.random() < 0.5:
            del kids[one]
        else:
            kids[one], kids[two] = kids.raw_get(two), kids.raw_get(one)
        writer.update_container(kids)

    return signed(updated(plain(), do))


def laid_over_a_page(dice: random.Random) -> bytes:
    """An annotation, seen or not, that is no signature."""
    sides = dice.choice([(0, 0, 500, 500), (0, 0, 0, 0)])

    def do(writer: Any) -> None:
        page = writer.root["/Pages"]["/Kids"][dice.randrange(3)]
        members = {"/Type": generic.pdf_name("/Annot"), "/Subtype": generic.pdf_name("/FreeText")}
        rect = generic.ArrayObject(generic.NumberObject(side) for side in sides)
        note = generic.DictionaryObject({generic.pdf_name(name): said for name, said in members.items()})
        note[generic.pdf_name("/Rect")] = rect
        page["/Annots"] = generic.ArrayObject([writer.add_object(note)])
        writer.update_container(page)

    return signed(updated(plain(), do))


def what_it_carries(how: int, dice: random.Random) -> bytes:
    """Another bundle, a bent one, another list of pages, or a note by somebody else: noted anew where one may."""
    listing, bundle, sign = _listing(), bundles()[0], cases.statement
    if how == 0:
        bundle = bundles()[1]
    elif how == 1:
        bundle = bent(bundle, dice)
    elif how == 2:
        listing["bundle_sha256"] = dice.randbytes(32).hex()
    elif how == 3:
        listing["pages"] = dice.choice([listing["pages"][:-1], listing["pages"] * 2])
    elif how == 4:
        sign = lambda text: cases.notes.sign(text, name=cases.STATEMENT_VKEY.name, key=cases.WITNESS_KEY)  # noqa: E731
    else:
        listing["more"] = "1"
    if how < 2 and dice.random() < 0.5:
        listing["bundle_sha256"] = sha256(bundle).hexdigest()
    pages = json.dumps(listing, sort_keys=True, separators=(",", ":")).encode()
    lines = ("clinaiops/report-pages/v1", cases.ORIGIN, sha256(bundle).hexdigest(), sha256(pages).hexdigest())
    note = sign("".join(f"{line}\n" for line in lines).encode())
    return signed(_carrying(bundle=bundle, pages=pages, note=note))


def who_signed(dice: random.Random) -> bytes:
    """Nobody, a stranger, or somebody added a revision after the signature."""
    how = dice.randrange(3)
    if how == 0:
        return plain()
    if how == 1:
        return signed(plain(), stranger=True)

    def do(writer: Any) -> None:
        writer.root["/Lang"] = generic.TextStringObject("fr")
        writer.update_root()

    return updated(report(), do)


def digits_of_the_signature(dice: random.Random) -> bytes:
    """One byte of the CMS, or of the zeros behind it."""
    data = report()
    start = data.rindex(b"/Contents <") + len(b"/Contents <")
    at = start + dice.randrange(data.index(b">", start) - start)
    return data[:at] + dice.choice(b"0123456789ABCDEFabcdef".decode()).encode() + data[at + 1 :]


CHANGES: tuple[Callable[[random.Random], bytes], ...] = (
    words_of_a_page,
    something_more_on_a_page,
    order_of_pages,
    laid_over_a_page,
    who_signed,
    digits_of_the_signature,
    *(partial(what_it_carries, how) for how in range(6)),
)


def paper(seed: int | str, number: int) -> Case:
    """The case of this number; what is done to it goes by turns."""
    dice = random.Random(f"{seed}/papers/{number}")
    kind = dice.random()
    if kind < 0.05:
        return Case("paper: honest", report(), cases.POLICY.encode())
    if kind < 0.15:
        return Case(BYTES, bent(report(), dice), cases.POLICY.encode())
    change = CHANGES[number % len(CHANGES)]
    return Case(f"paper: change {number % len(CHANGES)}", change(dice), cases.POLICY.encode())
