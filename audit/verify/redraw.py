"""The report drawn again from its bundle, and compared byte by byte: only with `--redraw` (README 9, V16).

The digests of the pages hold their text; this holds lines, charts and places too, against a site that drew something
else and signed it. Needs the release that drew the report, with `reportlab`: another one draws other bytes.
"""

from __future__ import annotations

from importlib import import_module
from tempfile import TemporaryFile
from typing import BinaryIO

from audit.verify.pdf_syntax import Document
from audit.verify.spelling import Refused, Wrong

CHUNK = 1 << 20
# What the revision with the signature adds to the catalog and to a page.
BY_SIGNING = {"AcroForm", "Annots", "Extensions", "Perms", "Version"}


def compare(signed: Document, pdf: BinaryIO, bundle: BinaryIO, note: bytes) -> int:
    """How many bytes this release draws from the bundle: the PDF begins with them all, and what follows changes none.

    Raises Wrong or Refused.
    """
    try:
        reports, bundles = import_module("audit.reports"), import_module("audit.bundles")
    except ImportError as err:
        raise Refused("redraw", f"what draws reports is not here: {err}") from err
    with TemporaryFile() as again:
        bundle.seek(0)
        try:
            reports.draw(bundle, again, sign=lambda _: note)
        except bundles.BundleInvalid as err:
            raise Refused("redraw", f"no report can be drawn from the bundle: {err}") from err
        done = _same_bytes(again, pdf)
        drawn = Document(again)
        try:
            _only_signed_since(drawn, signed)
        finally:
            drawn.close()
    return done


def _same_bytes(again: BinaryIO, pdf: BinaryIO) -> int:
    again.seek(0)
    pdf.seek(0)
    done = 0
    while drawn := again.read(CHUNK):
        if (held := pdf.read(len(drawn))) != drawn:
            same = next((n for n, (a, b) in enumerate(zip(held, drawn, strict=False)) if a != b), len(held))
            raise Wrong("V16", "pdf-redraw", f"byte {done + same} is not what this release draws")
        done += len(drawn)
    return done


def _only_signed_since(drawn: Document, signed: Document) -> None:
    """No object that was drawn is another one now, but for the members that hold the signature."""
    now = signed.places()
    for number, place in drawn.places().items():
        if now.get(number) == place:
            continue
        was, is_ = drawn.object(number), signed.object(number)
        same = type(was) is type(is_) is dict and was == {name: is_.get(name) for name in was}
        if not same or not is_.keys() - was.keys() <= BY_SIGNING:
            raise Wrong("V16", "pdf-redraw", f"object {number} was changed after it was drawn")
