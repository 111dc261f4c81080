"""The verifier's core is small enough to read, and runs without anything of ours outside its folder (SECURITY 3.5)."""

import ast
import subprocess
import sys

from tests.architecture.source import ROOT, Source, our_sources

# Counted are lines of code: without docstrings, comments and blank lines (what `audit/README.md` says of its size).
LINES = 700
CORE = ("__init__", "archive", "notes", "spelling", "walk")
# With WebAuthn it is still at most 700. With the quick lines, and with the command: more, may only shrink.
SIGNATURES, QUICK, COMMAND = (*CORE, "signatures"), (*CORE, "signatures", "quick"), ("signatures", "quick", "__main__")
WITH_QUICK, WITH_COMMAND = 762, 913
ALLOWED = {"cryptography", "audit.verify"}
WITH_LIBRARIES = {"audit/verify/timestamps.py": {"rfc3161_client"}}
LOADED_WHEN_NEEDED = ("timestamps", "online", "pdf", "redraw")


def verifier() -> list[Source]:
    return [source for source in our_sources(packages=("audit",)) if source.path.startswith("audit/verify/")]


def named(sources: list[Source], *names: str) -> list[Source]:
    return [source for source in sources if source.path in {f"audit/verify/{name}.py" for name in names}]


def lines(sources: list[Source]) -> int:
    return sum(len(code(source)) for source in sources)


def code(source: Source) -> set[int]:
    """Numbers of the lines that are not docstrings, comments or blank."""
    words = {
        line
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None
        for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    nothing = {
        number
        for number, line in enumerate(source.text.splitlines(), 1)
        if not line.strip() or line.strip().startswith("#")
    }
    return {*range(1, len(source.text.splitlines()) + 1)} - words - nothing


def strangers(sources: list[Source]) -> list[str]:
    """Imports of anything but the standard library, `cryptography` and this folder."""
    found = []
    for source in sources:
        for node in ast.walk(source.tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{'.' * node.level}{node.module or ''}"]
            for name in names:
                known = name.partition(".")[0] in sys.stdlib_module_names | WITH_LIBRARIES.get(source.path, set())
                ours = any(name == allowed or name.startswith(f"{allowed}.") for allowed in ALLOWED)
                if not known and not ours:
                    found.append(source.at(node, name))
    return found


def loaded_early(sources: list[Source]) -> list[str]:
    """Modules for special cases that are imported at the top of another."""
    special = {f"audit.verify.{name}" for name in LOADED_WHEN_NEEDED}
    return [
        source.at(node, str(node.module))
        for source in sources
        if source.path.rpartition("/")[2].split(".")[0] not in {*LOADED_WHEN_NEEDED, "pdf_syntax", "pdf_signature"}
        for node in source.tree.body
        if isinstance(node, ast.ImportFrom) and node.module in special
    ]


def test_the_core_has_at_most_700_lines_of_code_signatures_included():
    assert len(named(verifier(), *SIGNATURES)) == len(SIGNATURES)
    assert lines(named(verifier(), *SIGNATURES)) <= LINES


def test_with_the_quick_lines_and_with_the_command_it_does_not_grow():
    for names, most in ((QUICK, WITH_QUICK), ((*CORE, *COMMAND), WITH_COMMAND)):
        assert len(named(verifier(), *names)) == len(names)
        assert lines(named(verifier(), *names)) <= most


def test_only_words_and_blank_lines_are_not_counted():
    text = '"""Words.\n\nMore."""\n\n# a comment\nx = """a\nb"""\n\n\ndef f():\n    """Words."""\n    return x\n'
    assert code(Source("x.py", text)) == {6, 7, 10, 12}


def test_the_verifier_imports_nothing_of_ours_and_few_libraries():
    assert strangers(verifier()) == []
    assert loaded_early(verifier()) == []


def test_a_stranger_and_a_longer_core_are_found():
    planted = Source(
        "audit/verify/walk.py", "from audit import merkle\nimport django.conf\nfrom . import x\n" + "x = 1\n" * LINES
    )
    assert len(strangers([planted])) == 3
    assert lines(named([planted], *CORE)) > LINES
    assert loaded_early([Source("audit/verify/notes.py", "from audit.verify.pdf import Report\n")])


def test_no_django_is_loaded_by_it():
    look = "import sys; {}import audit.verify.__main__; print(sorted({{'django'}} & set(sys.modules)))"
    for planted, expected in (("", "[]"), ("import django; ", "['django'")):
        run = subprocess.run([sys.executable, "-c", look.format(planted)], cwd=ROOT, capture_output=True, text=True)
        assert run.stdout.startswith(expected), run.stderr
