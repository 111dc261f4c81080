"""The newest head that a witness has seen, asked over the network: only with `--online URL` (README 10, V7).

What comes back is judged like any other head seen elsewhere; the connection itself is not trusted.
"""

from __future__ import annotations

import re
from hashlib import sha256
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, build_opener

from audit.verify.spelling import Refused

MAX_NOTE, PATIENCE_S = 1_000_000, 20


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def newest(url: str, origin: str) -> bytes:
    """The cosigned checkpoint at `<url>/<hex SHA-256 of the origin>/checkpoint`; raises Refused."""
    if not re.match(r"https?://[^/?#]", url):
        raise Refused("online", "not the address of a witness")
    address = f"{url.rstrip('/')}/{sha256(origin.encode()).hexdigest()}/checkpoint"
    try:
        with build_opener(_NoRedirect).open(address, timeout=PATIENCE_S) as answer:
            data: bytes = answer.read(MAX_NOTE + 1)
    except (URLError, OSError, ValueError) as err:
        raise Refused("online", f"{type(err).__name__}: {err}") from err
    if len(data) > MAX_NOTE:
        raise Refused("online", "the answer is too long")
    return data
