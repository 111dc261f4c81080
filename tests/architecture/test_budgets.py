"""Every module says what it is, and stays small enough to read (STYLE 8)."""

import ast

from tests.architecture.source import Source, our_sources

FILE_LINES = 400
FUNCTION_LINES = 50
PARAMETERS = 7


def over_budget(sources: list[Source]) -> list[str]:
    """Modules without a docstring, files and functions too long, functions of too many parameters."""
    found = []
    for source in sources:
        if source.text.strip() and not ast.get_docstring(source.tree):
            found.append(f"{source.path}: does not say what it is")
        if (lines := len(source.text.splitlines())) > FILE_LINES:
            found.append(f"{source.path}: {lines} lines")
        for function in source.functions:
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            if length > FUNCTION_LINES:
                found.append(source.at(function, f"{function.name} has {length} lines"))
            positional = [a for a in (*function.args.posonlyargs, *function.args.args) if a.arg not in {"self", "cls"}]
            if len(positional) > PARAMETERS:
                found.append(source.at(function, f"{function.name} takes {len(positional)} parameters by place"))
    return found


def test_modules_say_what_they_are_and_stay_small():
    sources = our_sources()
    assert len(sources) > 50
    assert over_budget(sources) == []


def test_what_is_over_budget_is_found():
    long_function = "def long():\n" + "    x = 1\n" * FUNCTION_LINES
    crowded = f"def crowded({', '.join(f'a{n}' for n in range(PARAMETERS + 1))}): ...\n"
    planted = [
        Source("audit/silent.py", "x = 1\n"),
        Source("audit/long.py", '"""Long."""\n' + "x = 1\n" * FILE_LINES),
        Source("audit/functions.py", f'"""Functions."""\n{long_function}{crowded}'),
    ]
    assert len(over_budget(planted)) == 4
