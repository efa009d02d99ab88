"""What packages show each other: no bare mapping of anything. What is free-form by nature has a name that says so."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import nightshift

ENGINE = Path(nightshift.__file__).parent
# Where those names are declared.
NAMED = "freeform.py"
BARE = re.compile(r"\b(?:dict|Dict|Mapping|MutableMapping)\[str, (?:Any|object)\]")
Signature = tuple[str, ast.expr]


def shown(body: list[ast.stmt], owner: str = "") -> Iterator[Signature]:
    """Yield the annotations and the aliases of types that other modules may see, each with whose it is."""
    for each in body:
        if isinstance(each, ast.ClassDef) and not each.name.startswith("_"):
            yield from shown(each.body, f"{owner}{each.name}.")
        else:
            yield from ((f"{owner}{name}", what) for name, what in _declared(each) if _is_public(name))


def _declared(each: ast.stmt) -> Iterator[Signature]:
    if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from ((each.name, annotation) for annotation in _annotations(each))
    elif isinstance(each, ast.AnnAssign):
        yield ast.unparse(each.target), each.annotation
    elif isinstance(each, ast.Assign):
        yield ast.unparse(each.targets[0]), each.value


def _is_public(name: str) -> bool:
    return not name.startswith("_") or name.startswith("__")


def _annotations(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr]:
    given = function.args
    every = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    yield from (each.annotation for each in every if each and each.annotation)
    if function.returns:
        yield function.returns


def bare(path: Path) -> list[str]:
    """Return whose signatures in a module hold a mapping of names to anything."""
    tree = ast.parse(path.read_text())
    return [
        f"{path.name}: {whose}"
        for whose, expression in shown(tree.body)
        if BARE.search(ast.unparse(expression))
    ]


MODULES = [path for path in sorted(ENGINE.rglob("*.py")) if path.name != NAMED]


def test_no_module_shows_a_bare_mapping_of_anything() -> None:
    """A dataclass, a pydantic model or a TypedDict; what is somebody else's JSON has a name in freeform.py."""
    assert len(MODULES) > 200
    assert [each for path in MODULES for each in bare(path)] == []


@pytest.mark.parametrize(
    ("text", "whose"),
    [
        ("def told() -> dict[str, Any]: ...", "told"),
        ("def told(*, by: 'Mapping[str, object] | None' = None): ...", "told"),
        ("async def told(**by: list[dict[str, Any]]): ...", "told"),
        ("class Told:\n    said: dict[str, dict[str, Any]]", "Told.said"),
        ("class Told:\n    def __init__(self, said: MutableMapping[str, Any]): ...", "Told.__init__"),
        ("Told = dict[str, Any]", "Told"),
    ],
)
def test_a_bare_mapping_is_found_wherever_others_see_it(text: str, whose: str, tmp_path: Path) -> None:
    path = tmp_path / "told.py"
    path.write_text(text)
    assert bare(path) == [f"told.py: {whose}"]


@pytest.mark.parametrize(
    "text",
    ["def _told() -> dict[str, Any]: ...", "def told() -> dict[str, str]:\n    said: dict[str, Any] = {}"],
)
def test_what_a_module_keeps_to_itself_may_be_bare(text: str, tmp_path: Path) -> None:
    path = tmp_path / "told.py"
    path.write_text(text)
    assert bare(path) == []
