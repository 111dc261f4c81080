"""Words for people in a bundle's manifest: printed names of the accounts that appear, and where bundles are verified.

The rules
 * Names come from the site (setting AUDIT_NAMES, a dotted path: identifiers in, names out): accounts live elsewhere.
   They are no evidence: a signature's name stands in its entry. Only accounts whose acts the reader may see are named.
 * With a PUBLIC_URL the manifest says where this site verifies bundles, for the code that is printed. A verifier
   believes neither.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from django.conf import settings
from django.utils.module_loading import import_string

NAMED = "name_"
PAGE = "/audit/verify/"
_KEY = re.compile(r"[a-z0-9_]{1,59}")
_MOST_CHARACTERS, _MOST_BYTES = 100, 32_000


def for_people(accounts: Iterable[str]) -> dict[str, str]:
    """What the manifest's filter says besides the choice: `name_<account>` (hyphens as `_`), `verify_url`."""
    said = {"verify_url": settings.PUBLIC_URL.rstrip("/") + PAGE} if settings.PUBLIC_URL else {}
    room = _MOST_BYTES
    for account, name in sorted(_names(list(accounts)).items()):
        key, printed = account.replace("-", "_"), _printed(name)
        room -= len(printed.encode()) + len(NAMED + key)
        if printed and _KEY.fullmatch(key) and room > 0:
            said[NAMED + key] = printed
    return said


def in_one_spelling(said: Mapping[str, str]) -> dict[str, str]:
    """Words of people as the manifest may spell them: names that were stored before they were normalised too."""
    return {name: unicodedata.normalize("NFC", text) for name, text in said.items()}


def _names(accounts: list[str]) -> dict[str, str]:
    path = getattr(settings, "AUDIT_NAMES", "")
    return dict(import_string(path)(accounts)) if path and accounts else {}


def _printed(name: str) -> str:
    """One line in the one spelling that canonical JSON allows."""
    line = "".join(each if each.isprintable() else " " for each in unicodedata.normalize("NFC", name))
    return unicodedata.normalize("NFC", " ".join(line.split())[:_MOST_CHARACTERS])
