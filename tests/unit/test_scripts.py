"""What no test imports and mypy does not read: a benchmark or a page's script must name what the code still has."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = sorted([*REPOSITORY.glob("benchmarks/*.py"), *REPOSITORY.glob("docs/*.py")])


def taken(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of all taken from nightshift, within functions too; not of what older revisions named."""
    if isinstance(node, ast.ExceptHandler):
        return
    if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "nightshift":
        yield from ((node.module, alias.name) for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from taken(child)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.relative_to(REPOSITORY)))
def test_a_script_takes_from_nightshift_what_is_there(script):
    for module, name in taken(ast.parse(script.read_text())):
        if not hasattr(importlib.import_module(module), name):
            importlib.import_module(f"{module}.{name}")  # a module of the package, or it says what is missing
