"""Purity: what a feature module must not ask, found in its text: the clock, files, the network, chance.

Names are followed through imports and aliases of imports, not through variables. What this look cannot see, the
attacks of :mod:`nightshift.featurise.leaks` may.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nightshift.syntax import parse

CLOCK = "the clock; use batch_date, the only date there is"
FILES = "a file; declare a source, its rows come in as an input"
NETWORK = "the network; declare a source, its rows come in as an input"
ENVIRONMENT = "the environment; write a literal into the module"
RANDOM = "chance without a seed; use numpy.random.default_rng(a fixed seed)"
SEED = "a number that differs from process to process; use hashlib"
HIDDEN = "code that cannot be read here; write it out"

# By dotted name, or its beginning: whatever lies below it.
NAMES = {
    "time": CLOCK,
    "datetime.datetime.now": CLOCK,
    "datetime.datetime.utcnow": CLOCK,
    "datetime.datetime.today": CLOCK,
    "datetime.date.today": CLOCK,
    "pandas.Timestamp.now": CLOCK,
    "pandas.Timestamp.utcnow": CLOCK,
    "pandas.Timestamp.today": CLOCK,
    "open": FILES,
    "io.open": FILES,
    "pathlib": FILES,
    "glob": FILES,
    "shutil": FILES,
    "tempfile": FILES,
    "sqlite3": FILES,
    "fsspec": FILES,
    "pyarrow.parquet": FILES,
    "pyarrow.csv": FILES,
    "numpy.load": FILES,
    "numpy.loadtxt": FILES,
    "numpy.genfromtxt": FILES,
    "numpy.fromfile": FILES,
    "numpy.memmap": FILES,
    "socket": NETWORK,
    "ssl": NETWORK,
    "http": NETWORK,
    "urllib": NETWORK,
    "urllib3": NETWORK,
    "requests": NETWORK,
    "httpx": NETWORK,
    "aiohttp": NETWORK,
    "psycopg2": NETWORK,
    "sqlalchemy": NETWORK,
    "os": ENVIRONMENT,
    "sys": ENVIRONMENT,
    "platform": ENVIRONMENT,
    "subprocess": ENVIRONMENT,
    "random": RANDOM,
    "secrets": RANDOM,
    "uuid.uuid1": RANDOM,
    "uuid.uuid4": RANDOM,
    "numpy.random": RANDOM,
    "hash": SEED,
    "eval": HIDDEN,
    "exec": HIDDEN,
    "__import__": HIDDEN,
    "importlib": HIDDEN,
}
# Of any object: methods whose name alone tells.
METHODS = {
    "now": CLOCK,
    "utcnow": CLOCK,
    "today": CLOCK,
    "read_text": FILES,
    "read_bytes": FILES,
    "write_text": FILES,
    "write_bytes": FILES,
    "to_csv": FILES,
    "to_parquet": FILES,
    "to_sql": FILES,
}
SEEDED = {"numpy.random.default_rng", "numpy.random.Generator", "numpy.random.RandomState", "random.Random"}
# Texts that pandas and NumPy take for a time, wherever they take one.
NOW, READ_TIMES = {"now", "today"}, ("pandas.", "numpy.")
SAMPLES = {"sample": "random_state"}


@dataclass(frozen=True)
class Suspect:
    """A place in a module: what is written there, and what it asks."""

    line: int
    text: str
    asks: str


def suspects(path: Path) -> list[Suspect]:
    """Return what a feature module asks that it must not, in the order of its lines."""
    module = parse(path.read_text(encoding="utf-8"))
    imported = dict(_imports(module)) | dict.fromkeys(ALSO_NAMES & set(_variables(module)), "")
    found = {
        Suspect(node.lineno, ast.unparse(node).partition("\n")[0], asks)
        for node in ast.walk(module)
        if isinstance(node, ast.expr) and (asks := _asks(node, imported))
    }
    # Of `os.environ["X"]` the longest expression of its line tells most.
    named = {(s.line, s.asks): s for s in sorted(found, key=lambda s: len(s.text))}
    return sorted(named.values(), key=lambda s: s.line)


def _imports(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield (name in the module, dotted name it stands for)."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (root, root)
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _variables(module: ast.Module) -> Iterator[str]:
    """Yield the names that the module assigns, or takes as parameters."""
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        if isinstance(node, ast.arg):
            yield node.arg


def _asks(node: ast.expr, imported: dict[str, str]) -> str | None:
    if isinstance(node, ast.Call):
        return _called(node, imported)
    return _named(_dotted(node, imported)) if isinstance(node, ast.Name | ast.Attribute) else None


def _called(call: ast.Call, imported: dict[str, str]) -> str | None:
    """Return what a call asks that its name alone does not tell."""
    dotted, keywords = _dotted(call.func, imported), {each.arg: each.value for each in call.keywords}
    given = [*call.args, *keywords.values()]
    if dotted in SEEDED:
        return None if any(map(_is_seed, given)) else RANDOM
    if dotted.startswith(READ_TIMES) and any(map(_is_now, given)):
        return CLOCK
    if not isinstance(call.func, ast.Attribute):
        return None
    seed = SAMPLES.get(call.func.attr)
    if seed and not (seed in keywords and _is_seed(keywords[seed])):
        return RANDOM
    return METHODS.get(call.func.attr)


def _is_seed(node: ast.expr) -> bool:
    return not (isinstance(node, ast.Constant) and node.value is None)


def _is_now(node: ast.expr) -> bool:
    if isinstance(node, ast.List | ast.Tuple):
        return any(map(_is_now, node.elts))
    return isinstance(node, ast.Constant) and str(node.value).strip().lower() in NOW


def _dotted(node: ast.expr, imported: dict[str, str]) -> str:
    """Return the dotted name that an expression stands for; empty if it is not one of an import or a builtin."""
    if isinstance(node, ast.Name):
        return imported.get(node.id, node.id if node.id in NAMES and node.id not in MODULES else "")
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value, imported)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


# Names of modules: a variable of that name is no module unless it was imported.
MODULES = {name.partition(".")[0] for name in NAMES} - {"open", "hash", "eval", "exec", "__import__"}
# Builtins that are also usual names: of a module that has such a variable or parameter, it is that.
ALSO_NAMES = {"hash"}


def _named(dotted: str) -> str | None:
    if dotted in SEEDED or dotted in MODULES or dotted == "numpy.random":
        return None  # judged by what is made of it
    if dotted.startswith("pandas.read_"):
        return FILES
    parts = dotted.split(".")
    found = (NAMES.get(".".join(parts[:n])) for n in range(1, len(parts) + 1))
    return next((asks for asks in found if asks), None)
