"""Our source as the architecture tests read it: files, their trees, and which rung of which app each stands on."""

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("edge_wearables", "care_loops", "models", "governance", "audit")
PACKAGES = ("config", *APPS)
DOORS = frozenset({"urls", "api", "views", "tasks", "admin", "management", "middleware", "fhir", "problems"})


@dataclass(frozen=True)
class Source:
    """One module: where it is and what it says."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed module."""
        return ast.parse(self.text, filename=self.path)

    @property
    def rung(self) -> str:
        """The module or folder directly under the app: `services`, `views`, `domain`, ..."""
        parts = Path(self.path).with_suffix("").parts
        at = 2 if parts[:2] == ("models", "registry") else 1
        return parts[at] if len(parts) > at else "__init__"

    @property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Every function and method in it."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    def at(self, node: ast.AST, what: str) -> str:
        """One finding, as people click on it."""
        return f"{self.path}:{getattr(node, 'lineno', 1)} {what}"


def our_sources(*, packages: tuple[str, ...] = PACKAGES) -> list[Source]:
    """Every module of those packages that is written by hand; migrations are not."""
    found = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    return [
        Source(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
        for path in found
        if "migrations" not in path.parts and "__pycache__" not in path.parts
    ]


def dotted(node: ast.AST) -> str:
    """An attribute chain without its calls: `Loop.objects.filter(a=1).update` is `Loop.objects.filter.update`."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return dotted(node.func)
    if isinstance(node, ast.Subscript):
        return dotted(node.value)
    return node.id if isinstance(node, ast.Name) else ""
