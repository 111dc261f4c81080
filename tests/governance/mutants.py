"""Every small way in which a pure module of authority could be wrong, as source: what its tests must notice.

One change for each mutant: a comparison or an operator turned round, a condition forced, a part of one left out, a
constant moved, a branch's answer or refusal dropped, one element of a table's row lost.
"""

from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

_TURNED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Sub: ast.Add, ast.Add: ast.Sub,
}  # fmt: skip


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Each with what was changed, and the whole source so changed."""
    tree = ast.parse(source)
    unread = set(_annotations(tree))
    for place, node in enumerate(ast.walk(tree)):
        for what, change in _changes(node) if node not in unread else ():
            made = copy.deepcopy(tree)
            twin = next(one for at, one in enumerate(ast.walk(made)) if at == place)
            change(twin)
            line = getattr(node, "lineno", 0)
            yield f"line {line}: {what}", ast.unparse(ast.fix_missing_locations(made))


def _annotations(tree: ast.Module) -> Iterator[ast.AST]:
    """What stands in annotations: no program reads it, so nothing done to it changes what the module does."""
    for node in ast.walk(tree):
        for part in ("annotation", "returns"):
            if (annotation := getattr(node, part, None)) is not None:
                yield from ast.walk(annotation)


def _changes(node: ast.AST) -> Iterator[tuple[str, object]]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _TURNED:
        yield "comparison turned", lambda twin: twin.ops.__setitem__(0, _TURNED[type(twin.ops[0])]())
    if isinstance(node, ast.BoolOp):
        yield "and for or", lambda twin: setattr(twin, "op", _TURNED[type(twin.op)]())
        for lost in range(len(node.values)):
            yield f"part {lost} of a condition lost", lambda twin, lost=lost: twin.values.pop(lost)
    if isinstance(node, ast.BinOp) and type(node.op) in _TURNED:
        yield "operator turned", lambda twin: setattr(twin, "op", _TURNED[type(twin.op)]())
    if isinstance(node, ast.If | ast.IfExp):
        for forced in (True, False):
            yield f"condition always {forced}", lambda twin, forced=forced: setattr(twin, "test", ast.Constant(forced))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not dropped", lambda twin: setattr(twin, "op", ast.UAdd()) or setattr(twin, "operand", _truth(twin))
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, bool):
        yield "answer turned", lambda twin: setattr(twin, "value", ast.Constant(not twin.value.value))

    yield from _answers(node)


def _answers(node: ast.AST) -> Iterator[tuple[str, object]]:
    """A case that is never met, one entry of a table of functions lost, one raise that is not made, any for all."""
    if isinstance(node, ast.Match) and len(node.cases) > 1:
        for lost in range(len(node.cases) - 1):  # without the last there is no answer at all
            yield f"case {lost} lost", lambda twin, lost=lost: twin.cases.pop(lost)
    if isinstance(node, ast.If) and len(node.body) == 1 and isinstance(node.body[0], ast.Raise):
        yield "refusal dropped", lambda twin: twin.body.__setitem__(0, ast.Pass())
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("any", "all", "max"):
        turned = {"any": "all", "all": "any", "max": "min"}[node.func.id]
        yield f"{turned} for {node.func.id}", lambda twin: setattr(twin.func, "id", turned)


def _truth(twin: ast.UnaryOp) -> ast.expr:
    return ast.Call(ast.Name("bool", ast.Load()), [twin.operand], [])


def loaded(source: str, like: ModuleType) -> ModuleType:
    """This source as a module that stands where `like` stands."""
    made = ModuleType(f"{like.__name__}_mutant")
    made.__package__, made.__file__ = like.__package__, like.__file__
    sys.modules[made.__name__] = made  # where dataclasses look up what they are made of
    try:
        exec(compile(source, str(like.__file__), "exec"), made.__dict__)  # noqa: S102  (our own source, changed)
    finally:
        sys.modules.pop(made.__name__)
    return made


def unnoticed(source: str, like: ModuleType, check: Callable[[ModuleType], list[str]]) -> tuple[int, list[str]]:
    """How many mutants there are, and those of which `check` says nothing. One that does not even load is noticed."""
    tried, missed = 0, []
    for what, changed in mutants(source):
        tried += 1
        try:
            seen = check(loaded(changed, like)) != []
        except Exception:  # noqa: BLE001  (whatever it is, it was noticed)
            seen = True
        if not seen:
            missed.append(what)
    return tried, missed
