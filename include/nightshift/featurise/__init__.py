"""Features: one definition, run for training, scoring and every re-run alike.

The engine hands a feature set only what it may see: rows of its inputs within their look-back, known by the
cut-off of the batch date. What comes back is held against the declaration, to the column.
"""

import ast
import hashlib
import importlib.util
import json
import traceback
from collections.abc import Callable, Collection, Mapping
from datetime import date, timedelta
from types import ModuleType

import numpy as np
import pandas as pd

from nightshift.calendar import Calendar
from nightshift.errors import BatchRejected, NightshiftError, NotReady, RunStage, SpecError
from nightshift.featurise.built import as_declared
from nightshift.specs import FeatureSet
from nightshift.specs.features import declares
from nightshift.syntax import parse

Build = Callable[[dict[str, pd.DataFrame], date], pd.DataFrame]
Documented = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
# Keys of the declaration that change no value: those for people, and how and where a large night is built.
BESIDE = ("owner", "description", "shards", "compute")


def load_build(spec: FeatureSet) -> Build:
    """Return the ``build`` function of a feature module. Raises SpecError if the module does not load."""
    found = importlib.util.spec_from_file_location(f"nightshift_features_{spec.name}", spec.path)
    if found is None or found.loader is None:
        raise SpecError(f"{spec.path}: cannot be imported")
    module: ModuleType = importlib.util.module_from_spec(found)
    try:
        found.loader.exec_module(module)
    except Exception as error:  # the user's code may fail in any way
        raise SpecError(f"{spec.path}: importing it failed: {type(error).__name__}: {error}") from error
    build: Build = module.build
    return build


def definitions_sha256(spec: FeatureSet, renamed: Mapping[str, str] | None = None) -> list[str]:
    """Return all hashes that nights of this definition may be recorded with, that of today first.

    Of a declaration with a type, earlier ones had in them what is :data:`BESIDE`.
    """
    return list(dict.fromkeys(_definition_sha256(spec, renamed, of) for of in (declares, _assigns)))


def definition_sha256(spec: FeatureSet, renamed: Mapping[str, str] | None = None) -> str:
    """Return the hash of what the module computes: its syntax tree, without words and without positions.

    Formatting, comments, docstrings and what is :data:`BESIDE` do not change it. What the module imports is not in it.
    ``renamed``: texts of the module that are read as others, such as the name of a source.
    """
    return _definition_sha256(spec, renamed, declares)


def _assigns(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and declares(node)


def _definition_sha256(
    spec: FeatureSet, renamed: Mapping[str, str] | None, is_declaration: Callable[[ast.stmt], bool]
) -> str:
    module = parse(spec.path.read_text(encoding="utf-8"))
    for node in ast.walk(module) if renamed else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = (renamed or {}).get(node.value, node.value)
    for node in module.body:
        if (
            is_declaration(node)
            and isinstance(node, ast.Assign | ast.AnnAssign)
            and isinstance(node.value, ast.Dict)
        ):
            pairs = zip(node.value.keys, node.value.values, strict=True)
            kept = [(k, v) for k, v in pairs if not (isinstance(k, ast.Constant) and k.value in BESIDE)]
            node.value = ast.Dict([k for k, _ in kept], [v for _, v in kept])
    return hashlib.sha256(json.dumps(_essence(module)).encode()).hexdigest()


def _essence(node: object) -> object:
    """Return a syntax tree as lists. Not ``ast.dump``: its text differs from one Python to the next."""
    if isinstance(node, list):
        return [_essence(part) for part in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    if isinstance(node, Documented) and ast.get_docstring(node, clean=False) is not None:
        fields["body"] = node.body[1:]
    return [
        type(node).__name__,
        {name: _essence(part) for name, part in fields.items() if part not in (None, [])},
    ]


def earliest_input(spec: FeatureSet, source: str, first: date) -> date:
    """Return the first batch date of ``source`` that building ``first`` needs."""
    return first - timedelta(days=spec.inputs[source].look_back_days)


def visible(
    frames: Mapping[str, pd.DataFrame], spec: FeatureSet, calendar: Calendar, batch_date: date
) -> dict[str, pd.DataFrame]:
    """Return, per input, the rows that the night of ``batch_date`` may use.

    Args:
        frames: per source, typed rows (:mod:`nightshift.types`), their ``batch_date`` ascending.
    """
    cutoff = pd.Timestamp(calendar.cutoff(batch_date))
    seen = {}
    for name, given in spec.inputs.items():
        frame = frames[name]
        dates = frame["batch_date"].to_numpy()
        first = np.datetime64(batch_date - timedelta(days=given.look_back_days))
        rows = frame.iloc[
            dates.searchsorted(first) : dates.searchsorted(np.datetime64(batch_date), side="right")
        ]
        seen[name] = rows[rows["known_at"] <= cutoff].reset_index(drop=True)
    return seen


def compute(
    spec: FeatureSet, build: Build, inputs: dict[str, pd.DataFrame], batch_date: date
) -> pd.DataFrame:
    """Return the features of one batch date: ``batch_date``, entity, declared columns; ordered by entity.

    Raises:
        NotReady: an input that must have rows for this very date has none.
        BatchRejected: the result is not what the set declares: see :func:`as_declared`.
    """
    require_inputs(spec, [name for name, frame in inputs.items() if not frame.empty], batch_date)
    return as_declared(spec, _run(spec, build, inputs, batch_date), batch_date)


def require_inputs(spec: FeatureSet, there: Collection[str], batch_date: date) -> None:
    """Raise NotReady if an input that must have rows for this very date is not among those that have some."""
    for name, given in spec.inputs.items():
        if given.look_back_days == 0 and name not in there:
            raise NotReady(
                f"feature set '{spec.name}', {batch_date}: source '{name}' has no rows",
                remedy=RunStage("collect", name),
            )


def compute_part(
    spec: FeatureSet, build: Build, inputs: dict[str, pd.DataFrame], batch_date: date
) -> pd.DataFrame | None:
    """Return the features of a shard of a batch date as :func:`compute` does, None if it has none.

    A shard may lack the rows of an input that the night has.
    """
    dealt = spec.shards.deals(inputs) if spec.shards else []
    if all(inputs[name].empty for name in dealt):
        return None
    built = _run(spec, build, inputs, batch_date)
    if isinstance(built, pd.DataFrame) and built.empty:
        return None
    return as_declared(spec, built, batch_date)


def _run(spec: FeatureSet, build: Build, inputs: dict[str, pd.DataFrame], batch_date: date) -> pd.DataFrame:
    """Return what ``build`` returns. Raises BatchRejected, with the last line of the module, for what it raises."""
    try:
        return build(inputs, batch_date)
    except NightshiftError:
        raise
    except Exception as error:  # the user's code may fail in any way
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame for frame in frames if frame.filename == str(spec.path)]
        where = f"{spec.path}:{lines[-1].lineno}: build()" if lines else f"{spec.path}: build()"
        line = f" in `{lines[-1].line}`" if lines and lines[-1].line else ""
        raise BatchRejected(
            f"{where} of feature set '{spec.name}' failed for {batch_date}{line}: {type(error).__name__}: {error}"
        ) from error
