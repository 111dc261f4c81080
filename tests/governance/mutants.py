"""Every small way in which a pure module of authority could be wrong, as source: what its tests must notice.

One change for each mutant: a comparison or an operator turned round, a condition forced, a part of one left out, a
constant moved, a branch's answer or refusal dropped, one element of a table's row lost.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from types import ModuleType

_TURNED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Sub: ast.Add, ast.Add: ast.Sub,
}  # fmt: skip


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Each with what was changed, and the whole source so changed."""
    tree = ast.parse(source)
    for place, node in enumerate(ast.walk(tree)):
        for what, change in _changes(node):
            made = copy.deepcopy(tree)
            twin = next(one for at, one in enumerate(ast.walk(made)) if at == place)
            change(twin)
            line = getattr(node, "lineno", 0)
            yield f"line {line}: {what}", ast.unparse(ast.fix_missing_locations(made))


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


def _truth(twin: ast.UnaryOp) -> ast.expr:
    return ast.Call(ast.Name("bool", ast.Load()), [twin.operand], [])


def loaded(source: str, like: ModuleType) -> ModuleType:
    """This source as a module that stands where `like` stands."""
    made = ModuleType(like.__name__)
    made.__package__, made.__file__ = like.__package__, like.__file__
    exec(compile(source, str(like.__file__), "exec"), made.__dict__)  # noqa: S102  (our own source, changed)
    return made
