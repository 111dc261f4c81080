"""Nothing in the house tells where or by whom it was written: no path of one machine, no host of one network.

What is kept here is read elsewhere, in ten years, by people who have none of it.
"""

import re
import subprocess

from tests.architecture.source import ROOT

# Spelled in parts, so that this file does not find itself.
ANY_CASE = re.IGNORECASE
FOREIGN = {
    "a path of one machine": re.compile(r"(?<![\w.])/(?:work|root|home|Users)/(?!" + r"\.\.\.)\w"),
    "the folder of data beside a clone": re.compile(r"(?<!\.\./)\bshared/" + r"(?:data|[A-Z]+\.md)"),
    "a host that serves packages": re.compile(r"files\.python" + r"hosted|pypi\." + r"org|index-" + r"url ?= ?http"),
    "a private address": re.compile(r"(?<![\d.])(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3}(?![\d.])"),
    "who wrote it": re.compile(
        r"\b(?:chat" + r"gpt|clau" + r"de|anth" + r"ropic|open" + r"ai|co-authored" + r"-by)\b", ANY_CASE
    ),
    "how the work was handed out": re.compile(
        r"\b(?:the|this|next|our|as|per) iss" + r"ue\b|\bissue te" + r"xt\b", ANY_CASE
    ),
}
# Where a word that is foreign elsewhere is the matter itself.
AT_HOME = {
    ("tests/config/test_setup.py", "a host that serves packages"),
    ("tests/config/test_embedded_database.py", "a path of one machine"),
    ("tests/config/test_network.py", "a private address"),
}
NO_TEXT = {".png", ".gz", ".ico", ".woff2", ".pdf"}


def tracked_texts() -> list[tuple[str, str]]:
    """Every file that is kept, with its text; pictures and archives are not read."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    texts = [path for path in files if path.is_file() and path.suffix not in NO_TEXT]
    return [(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in texts]


def foreign_words(texts: list[tuple[str, str]]) -> list[str]:
    """Lines that say more of their origin than of the house."""
    return [
        f"{name}:{number}: {what}: {line.strip()[:100]}"
        for name, text in texts
        for number, line in enumerate(text.splitlines(), start=1)
        for what, pattern in FOREIGN.items()
        if pattern.search(line) and (name, what) not in AT_HOME
    ]


def test_nothing_tells_where_it_was_written():
    texts = tracked_texts()
    assert len(texts) > 100
    assert foreign_words(texts) == []


def test_a_planted_word_is_found():
    planted = (
        "cd /wor" + "k/main",
        "/home/" + "somebody/clinaiops",
        "see shared/" + "CLINICAL.md",
        "https://files.python" + "hosted.org/x.whl",
        "http://192.168" + ".4.7:8080/",
        "Co-authored" + "-by: nobody",
        "as the iss" + "ue asks",
    )
    assert [line for line in planted if not foreign_words([("a.md", line)])] == []
    assert foreign_words([("a.md", "data from ../shared/data, as CLINAIOPS_DATA says; PostgreSQL 10.4")]) == []
