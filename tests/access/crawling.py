"""Every page that somebody can reach by what is shown to them, with the forms and links that stand on it."""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.urls import Resolver404, resolve

from tests.access.cast import Cast, Who
from tests.access.expecting import knock

OF_ONE_ROUTE = 4  # pages of one kind are looked at this often: two patients, and what else hangs on them


@dataclass(frozen=True, slots=True)
class Shown:
    """A form or a link as it stands on a page: where it leads, and what it sends."""

    method: str
    where: str
    on: str
    sends: tuple[tuple[str, str], ...] = ()

    @property
    def route(self) -> str:
        """The name of the address it leads to."""
        return name_of(self.where)


@dataclass
class Seen:
    """What one person was shown: the names of pages reached, and every form and link once."""

    pages: set[str] = field(default_factory=set)
    shown: dict[tuple[str, str], Shown] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


def name_of(where: str) -> str:
    """The route of an address; empty where it is none of the house's."""
    try:
        found = resolve(urlsplit(where).path)
    except Resolver404:
        return ""
    return found.view_name or ""


class _Page(HTMLParser):
    """Forms with what they would send as they stand, and links."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where, self.found, self._form, self._select = where, [], None, None
        self._sends: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        match tag:
            case "a" if "href" in given:
                self._add("GET", given["href"])
            case "form":
                self._form, self._sends = given, []
            case "input" | "button" | "textarea" if self._form is not None and given.get("name"):
                if given.get("type") in ("radio", "checkbox") and "checked" not in given:
                    return
                self._sends.append((given["name"], given.get("value", "")))
            case "select":
                self._select = given.get("name")
            case "option" if self._form is not None and self._select and ("selected" in given):
                self._sends.append((self._select, given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._form is not None:
            method = self._form.get("method", "get").upper()
            if method == "POST" and not any(name.startswith("data-") and name == "data-api" for name in self._form):
                self._add("POST", self._form.get("action") or self.where, tuple(self._sends))
            self._form = None

    def _add(self, method: str, where: str, sends: tuple[tuple[str, str], ...] = ()) -> None:
        to = urljoin(f"http://testserver{self.where}", where)
        if urlsplit(to).netloc == "testserver":
            path = urlsplit(to).path + (f"?{urlsplit(to).query}" if urlsplit(to).query else "")
            self.found.append(Shown(method, path, self.where, sends))


def crawled(cast: Cast, who: Who, *, start: str = "/") -> Seen:
    """Follow every link from the start, a few pages of each kind."""
    seen, waiting, done = Seen(), deque([start]), {start: ""}
    often: Counter[str] = Counter()
    while waiting:
        where = waiting.popleft()
        answer = knock(cast, who, "GET", where, {})
        if answer.status_code in (301, 302, 303):
            _then(answer.headers["Location"], where, waiting, done, often)
            continue
        name = name_of(where)
        if answer.status_code != 200:
            seen.broken.append(f"{where} from {done.get(urlsplit(where).path)}: {answer.status_code}")
            continue
        seen.pages.add(name)
        if "text/html" not in answer.headers.get("Content-Type", ""):
            continue
        for one in _shown_on(where, answer):
            kept = (one.method, one.route) if one.method == "POST" else (one.method, one.where)
            seen.shown.setdefault(kept if one.route else ("GET", one.where), one)
            if one.method == "GET" and one.route:
                _then(one.where, where, waiting, done, often)
    return seen


def _then(where: str, on: str, waiting: deque[str], done: dict[str, str], often: Counter[str]) -> None:
    path = urlsplit(where).path
    name = name_of(path)
    if path in done or not name or name == "account_logout" or often[name] >= OF_ONE_ROUTE:
        return
    done[path] = on
    often[name] += 1
    waiting.append(where if where.startswith("/") else path)


def _shown_on(where: str, answer: Any) -> list[Shown]:
    page = _Page(urlsplit(where).path)
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    page.feed(re.sub(r"<(script|style).*?</\1>", "", body.decode(), flags=re.DOTALL))
    return list(page.found)
