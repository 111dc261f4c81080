"""A bundle: one file by which somebody else can check, without us, what the record says (SECURITY 3.5, format v1).

A zip whose members are lines of JSON: what was selected (entries, payloads, batches, signatures), what proves it
(checkpoints, and the hashes of everything between), and a signed manifest that says what was left out and why.
`audit/README.md` specifies the format; `audit.verify` judges a bundle, these modules only write and read one.
"""

from __future__ import annotations

from audit.bundles.manifest import BundleInvalid, FileListed, LeftOut, Manifest, PayloadCounts
from audit.bundles.reading import Batch, Bundle, Checkpoint, Entry, Payload
from audit.bundles.tiling import Rest, rest_between
from audit.bundles.writing import Abandoned, Body, BundleWriter

__all__ = [
    "Abandoned",
    "Batch",
    "Body",
    "Bundle",
    "BundleInvalid",
    "BundleWriter",
    "Checkpoint",
    "Entry",
    "FileListed",
    "LeftOut",
    "Manifest",
    "Payload",
    "PayloadCounts",
    "Rest",
    "rest_between",
]
