"""What a project brings of its own to a model: types that its file may hold, and modules of code under ``include/``.

Reading this imports none of that code; :meth:`Own.imported` does, and only what the project allows by name.
"""

import ast
import hashlib
import importlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightshift.errors import SpecError
from nightshift.syntax import parse

ENGINE = "nightshift"


def refused(path: str) -> str | None:
    """Return why a dotted path may not be among ``allowed_types``, or None."""
    root = path.partition(".")[0]
    if root in sys.stdlib_module_names:
        return f"'{path}' is Python's own: what it does when a file is opened is no estimator's business"
    if root == ENGINE:
        return f"'{path}' is the engine's; what is safe of it is allowed already"
    return None


@dataclass(frozen=True)
class Own:
    """``types``: dotted paths of the classes and functions that are allowed. ``folder``: where own modules lie."""

    types: tuple[str, ...] = ()
    folder: Path | None = None

    def file(self, module: str) -> Path | None:
        """Return the file of a module of the project, or None if it is none."""
        if self.folder is None or module.partition(".")[0] in ("", ENGINE):
            return None
        stem = self.folder.joinpath(*module.split("."))
        # Where both are, Python takes the package.
        candidates = (stem / "__init__.py", stem.with_suffix(".py"))
        return next((path for path in candidates if path.is_file()), None)

    def code(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the SHA-256 of each module of the project that these dotted paths need, by module name.

        A path's own module, the packages that it lies in, and the modules of the project that these import, and so on.
        """
        found: dict[str, str] = {}
        waiting = [path.rpartition(".")[0] for path in paths]
        while waiting:
            module = waiting.pop()
            waiting += filter(None, [module.rpartition(".")[0]])
            file = self.file(module)
            if file is None or module in found:
                continue
            content = file.read_bytes()
            found[module] = hashlib.sha256(content).hexdigest()
            waiting += _imports(content, file, module)
        return dict(sorted(found.items()))

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Let the project's modules be imported inside."""
        if self.folder is None:
            yield
            return
        folder = str(self.folder)
        self._forget_others()
        sys.path.insert(0, folder)
        try:
            yield
        finally:
            sys.path.remove(folder)

    def imported(self, path: str) -> Any:
        """Return what an allowed path names.

        Raises:
            SpecError: it is not there, or its module failed.
        """
        module, _, name = path.rpartition(".")
        try:
            with self.importable():
                return getattr(importlib.import_module(module), name)
        except Exception as error:  # the user's code may fail in any way
            raise SpecError(f"'{path}' cannot be imported: {type(error).__name__}: {error}") from error

    def _forget_others(self) -> None:
        """Drop modules that an allowed path would find, if they were loaded from another project's folder."""
        for module in {path.rpartition(".")[0] for path in self.types}:
            file, loaded = self.file(module), sys.modules.get(module)
            if file is not None and loaded is not None and getattr(loaded, "__file__", None) != str(file):
                root = module.partition(".")[0]
                for name in [n for n in sys.modules if n == root or n.startswith(f"{root}.")]:
                    del sys.modules[name]


NOTHING = Own()


def _imports(content: bytes, file: Path, module: str) -> list[str]:
    try:
        nodes = list(ast.walk(parse(content, str(file))))
    except (SyntaxError, ValueError) as error:
        raise SpecError(f"{file}: not valid Python: {error}") from error
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    of = [(_origin(node, package), node) for node in nodes if isinstance(node, ast.ImportFrom)]
    named = [f"{origin}.{alias.name}" for origin, node in of for alias in node.names]
    return [*plain, *(origin for origin, _ in of), *named]


def _origin(node: ast.ImportFrom, package: str) -> str:
    """Return the dotted name of what a module of ``package`` imports from, dots at its beginning counted from there."""
    above = package.split(".")[: -(node.level - 1) or None] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])
