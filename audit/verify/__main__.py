"""The command: `python -m audit.verify BUNDLE|FILE.pdf --policy FILE [--receipts FILE...] [--seen FILE...] [--json]`.

Exit 0: all holds and is covered. 1: something is wrong. 2: the input cannot be used. 3: holds, not all covered.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, NoReturn, cast

from audit.verify.archive import BROKEN, Archive
from audit.verify.notes import NoteInvalid, Policy, open_note, read_head, stated, unb64
from audit.verify.spelling import CHECKS, Refused, Wrong, instant
from audit.verify.walk import SECOND, SKEW, Walk

YEAR_10000 = 253_402_300_800
STATED = ("origin", "kind", "filter", "made_at", "made_by", "size", "root", "left_out", "complete_objects")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refused("usage", message)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = _Parser(prog="python -m audit.verify", description="Verify a bundle, or a PDF that holds one, offline.")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE|FILE.pdf")
    parser.add_argument("--policy", type=Path, required=True, help="your own file of keys, not the log's")
    parser.add_argument("--receipts", type=Path, nargs="+", default=[], help="the log's promises, to be found kept")
    parser.add_argument("--seen", type=Path, nargs="+", default=[], help="checkpoints of this log from elsewhere")
    parser.add_argument("--tsa", type=Path, help="PEM roots under which timestamp tokens are checked")
    parser.add_argument("--redraw", action="store_true", help="draw a PDF again with this release, and compare bytes")
    parser.add_argument("--online", metavar="URL", help="ask this witness for the newest head that it has seen")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        if len(data := file.read((64 << 20) + 1)) > 64 << 20:
            raise Refused("file-unreadable", f"{path} is too long")
    return data


def _receipts(data: bytes, policy: Policy, origin: str, found: dict[bytes, tuple[str, str]]) -> None:
    """Add leaf hash to (at, merged by), from a file with one note or with JSON lines that hold notes."""
    try:
        lines = data.splitlines() if data.startswith(b"{") else []
        for note in [json.loads(line)["receipt"].encode() for line in lines if line] or [data]:
            text, signed = open_note(note, [key for key in policy.statements if key.name == f"{origin}/statement"])
            if not signed:
                raise Refused("receipt-signature", f"not signed by the statement key of {origin}")
            context, said, leaf, at, due, end = text.decode().split("\n")
            times = all(map(CHECKS["time"], (at, due)))
            if (context, said, end) != ("clinaiops/receipt/v1", origin, "") or not times or len(unb64(leaf)) != 32:
                raise ValueError(f"not a receipt of {origin}")
            if found.setdefault(unb64(leaf), (at, due)) != (at, due):
                raise Wrong("receipts", "receipt-at", "two receipts for one entry name different times")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as err:
        bad = isinstance(err, NoteInvalid) and err.type
        raise Refused("receipt-signature" if bad else "receipt-form", err) from err


def _seen(data: bytes, policy: Policy, origin: str) -> tuple[int, bytes, int]:
    """Size, root and newest second of a head of this log that was seen elsewhere."""
    try:
        text, signed = open_note(data, [*policy.logs, *policy.witnesses.values()])
        head = read_head(text)
    except ValueError as err:
        raise Refused("seen-form", err) from err
    if head[0] != origin or origin not in {key.name for key in signed}:
        raise Refused("seen-signature", f"not a head that {origin} has signed")
    return head[1], head[2], max(signed.values())


def _bundle(file: BinaryIO, policy: Policy, options: argparse.Namespace, report: dict[str, Any]) -> str:
    """Verify the bundle in a file and tell the report; its origin."""
    file.seek(0)
    report["bundle_sha256"] = file_digest(cast(io.BytesIO, file), "sha256").hexdigest()
    walk = Walk(Archive(file), policy)
    said, origin = walk.manifest, walk.manifest["origin"]
    report |= {name: said[name] for name in STATED}
    for path in options.receipts:
        _receipts(_read(path), policy, origin, walk.receipts)
    promised = len(walk.receipts)
    heads = [_seen(_read(path), policy, origin) for path in options.seen]
    if options.online:
        from audit.verify.online import newest

        size, root, at = _seen(newest(options.online, origin), policy, origin)
        report["online"] = {"size": size, "at": at}
        if size <= said["size"] or at * SECOND <= instant(said["made_at"]) - SKEW:
            heads.append((size, root, at))
    for size, root, _ in heads:
        if (other := walk.seen.setdefault(size, root)) != root or (size == 0 and root != sha256(b"").digest()):
            raise Wrong("V7", "seen-root", f"two heads of size {size} were given: {other.hex()} and {root.hex()}")
    if options.tsa:
        from audit.verify.timestamps import Authority

        walk.stamped = Authority(_read(options.tsa)).microsecond
    try:
        walk.run()
    finally:
        tally = walk.tally
        report |= {"covered": walk.covered or None, "payloads": walk.shown, "signatures": walk.signatures.counts}
        report |= {name: tally[name] for name in ("checkpoints", "tokens", "late", "out_of_order")}
        report["entries"] = {"included": len(walk.ids), "unwitnessed": len(walk.ids) - tally["witnessed"]}
        report["receipts"] = {"found": promised - len(walk.receipts), "open": len(walk.receipts)}
        report["seen"] = {"compared": tally["compared"], "not_compared": len(walk.seen)}
        report["objects"] = {"included": len(walk.versions), "go_on": len(walk.cut)}
    return str(origin)


def _pdf(file: BinaryIO, policy: Policy, options: argparse.Namespace, report: dict[str, Any]) -> None:
    from audit.verify.pdf import Report as Pdf

    with Pdf(file) as pdf, TemporaryFile() as bundle:
        digest, listing = pdf.extract_bundle(bundle), pdf.listing()
        origin = _bundle(bundle, policy, options, report)
        lines = ("clinaiops/report-pages/v1", origin, digest, sha256(pdf.listing_bytes).hexdigest())
        try:
            stated(pdf.note, [key for key in policy.statements if key.name == f"{origin}/statement"], *lines)
        except NoteInvalid as err:
            raise Wrong("V16", "pdf-note", err) from err
        report["pages"] = pdf.check_pages(listing, bundle_sha256=digest)
        report["signed"] = pdf.check_signature(bundle)
        if options.redraw:
            from audit.verify.redraw import compare

            report["redrawn"] = {"bytes": compare(pdf.document, file, bundle, pdf.note)}


def verify(arguments: list[str] | None, report: dict[str, Any]) -> None:
    """All that was asked for, told to the report; what ends it early leaves no word there that anything held."""
    try:
        options = _options(arguments)
        policy = Policy(_read(options.policy))
        with options.bundle.open("rb") as file:
            (_pdf if file.read(5) == b"%PDF-" else _bundle)(file, policy, options, report)
        whole = not report["entries"]["unwitnessed"] and not report["receipts"]["open"]
        report |= {"result": "ok", "exit": 0} if whole else {"result": "unwitnessed", "exit": 3}
    except Refused as err:
        kind = {"result": "wrong", "exit": 1} if err.step else {"result": "unusable", "exit": 2}
        named = {"step": err.step, "class": err.code, "position": err.position, "entry": err.entry}
        report |= kind | {"failure": named | {"detail": err.detail[:300]}}
    except Exception as err:  # noqa: BLE001  (a fault of ours must not look like a verdict, nor be a traceback)
        unread = "file-unreadable" if isinstance(err, OSError) else "zip-damaged"
        code = unread if isinstance(err, BROKEN) else "verifier-fault"
        named = {"step": "", "class": code, "position": None, "entry": None}
        report["failure"] = named | {"detail": f"{type(err).__name__}: {err}"[:300]}


def in_words(report: dict[str, Any]) -> str:
    """The report for people, in printable ASCII whatever the bundle says."""
    lines = [f"{name}: {report[name]}" for name in sorted(report) if name not in {"result", "exit", "failure", "json"}]
    if failure := report["failure"]:
        place = f" at position {failure['position']}" if failure.get("position") is not None else ""
        lines.append(f"{report['result'].upper()}{place}: {failure['step']} {failure['class']}: {failure['detail']}")
    elif covered := report["covered"]:
        told = covered["at"] is not None and covered["at"] < YEAR_10000
        when = f" at {datetime.fromtimestamp(covered['at'], UTC):%Y-%m-%dT%H:%M:%SZ}" if told else ""
        cosigned = f"cosigned by {', '.join(covered['by'])}{when}"
        by = cosigned if covered["quorum"] != "none" else "no witness was asked for"
        lines.append(f"OK up to size {covered['size']} ({by})")
        if report["complete_objects"]:
            lines.append(
                f"COMPLETE up to size {report['size']}: every version of {report['objects']['included']} objects"
            )
    if report["exit"] == 3:
        lines.append(f"UNWITNESSED {report['entries']['unwitnessed']}, receipts open {report['receipts']['open']}")
    return "\n".join(line if line.isascii() and line.isprintable() else ascii(line) for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Verify, print, and say it with the exit status."""
    report: dict[str, Any] = {"result": "unusable", "exit": 2, "failure": None}
    verify(arguments, report)
    as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    sys.stdout.write((json.dumps(report) if as_json else in_words(report)) + "\n")
    return int(report["exit"])


if __name__ == "__main__":
    sys.exit(main())
