"""A feature set: one Python module. Its declaration is read, not run: parsing a DAG imports no pandas."""

import ast
import re
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Literal, TypeGuard

from pydantic import Field, field_validator, model_validator

from nightshift.errors import SpecError
from nightshift.freeform import Declared
from nightshift.specs.parts import Compute, Name, Spec, Tag, build
from nightshift.specs.tables import BATCH, OURS_BESIDE_FEATURES, check_columns, check_key, check_width
from nightshift.syntax import parse

FeatureType = Literal["float", "integer", "boolean", "string"]
DECLARATION = "FEATURES"
MOST_VERSIONS = 9999
VERSIONED = re.compile(r"(.+)_v([1-9][0-9]*)\Z")


class FeatureInput(Spec):
    """A source that the set reads: the batches of ``look_back_days`` nights up to and with the batch date."""

    look_back_days: int = Field(default=0, ge=0, le=366)


class Shards(Spec):
    """How a large night is dealt into shards that are built by themselves: rows alike in ``by`` stay together.

    A source that has all of these columns is dealt, unless ``whole`` names it; every shard sees all of the others.
    """

    by: list[str] = Field(min_length=1)
    whole: list[Name] = []

    def deals(self, inputs: Mapping[str, Container[str]]) -> list[str]:
        """Return which of ``inputs``, by name their columns, are dealt."""
        return [
            name
            for name, columns in inputs.items()
            if name not in self.whole and all(column in columns for column in self.by)
        ]


class FeatureSet(Spec):
    """The declaration at the top of ``include/features/<name>.py``.

    ``<set>_v<N>.py`` is version N of the set; ``<set>.py`` is the version that it declares, usually the first.
    """

    name: Name
    owner: Tag
    description: str
    version: int = Field(ge=1, le=MOST_VERSIONS)
    entity: list[str] = Field(min_length=1)
    # Entity columns are strings. Features: float, integer, boolean, or string for categories.
    inputs: dict[Name, FeatureInput] = Field(min_length=1)
    columns: dict[Name, FeatureType] = Field(min_length=1)
    shards: Shards | None = None
    compute: Compute = "here"
    path: Path = Field(strict=False)

    @field_validator("entity")
    @classmethod
    def _entity_fits_a_table(cls, entity: list[str]) -> list[str]:
        check_columns(entity, OURS_BESIDE_FEATURES)
        check_key(entity)
        return entity

    @field_validator("columns")
    @classmethod
    def _features_fit_a_table(cls, columns: dict[str, FeatureType]) -> dict[str, FeatureType]:
        check_columns(columns, OURS_BESIDE_FEATURES)
        return columns

    @model_validator(mode="after")
    def _row_fits_a_table(self) -> "FeatureSet":
        columns: dict[str, str] = {**dict.fromkeys(self.entity, "string"), **self.columns}
        try:
            check_width(columns, BATCH)
        except ValueError as error:
            raise ValueError(f"columns: {error}") from None
        return self

    @model_validator(mode="after")
    def _entity_is_no_feature(self) -> "FeatureSet":
        for name in self.entity:
            if name in self.columns:
                raise ValueError(f"entity: '{name}' is also a feature; an identifier must not be learned")
        return self

    @model_validator(mode="after")
    def _version_is_the_file_names(self) -> "FeatureSet":
        named = VERSIONED.match(self.name)
        if named and int(named[2]) != self.version:
            raise ValueError(f"version: the file name says {named[2]}, {DECLARATION} says {self.version}")
        return self

    @model_validator(mode="after")
    def _spark_has_shards(self) -> "FeatureSet":
        if self.compute == "spark" and self.shards is None:
            raise ValueError(
                "compute: spark builds shards, and key 'shards' is missing: say what belongs together"
            )
        return self

    @property
    def set(self) -> str:
        """The name that all versions of the set share."""
        named = VERSIONED.match(self.name)
        return named[1] if named else self.name

    @property
    def table(self) -> str:
        """The set's table in schema ``features``: one a version, so v2 stands beside v1."""
        return f"{self.set}_v{self.version}"


def load_feature_set(path: Path) -> FeatureSet:
    """Return the declaration of a feature module, found without running it.

    Raises:
        SpecError: no literal ``FEATURES = {...}``, no docstring, no ``build`` function, or a wrong key.
    """
    try:
        module = parse(path.read_text(encoding="utf-8"), str(path))
    except (SyntaxError, UnicodeDecodeError, RecursionError) as error:
        raise SpecError(f"{path}: not valid Python: {error}") from error
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from error
    if not any(isinstance(node, ast.FunctionDef) and node.name == "build" for node in module.body):
        raise SpecError(f"{path}: no function build(inputs, batch_date)")
    declared = _literal(module, path)
    described = {"description": (ast.get_docstring(module) or "").split("\n\n")[0], **declared}
    return build(FeatureSet, {**described, "name": path.stem, "path": path}, path)


def _literal(module: ast.Module, path: Path) -> Declared:
    named = [node for node in module.body if declares(node)]
    if len(named) > 1:
        raise SpecError(
            f"{path}:{named[1].lineno}: {DECLARATION} is assigned again, after line {named[0].lineno}: write one"
        )
    literal = named[0].value if named else None
    try:
        value = ast.literal_eval(literal) if literal else None
    except (ValueError, TypeError) as error:  # TypeError: a list as a key
        raise SpecError(
            f"{path}:{named[0].lineno}: {DECLARATION} must be a plain literal: {error}"
        ) from error
    if literal is None or not isinstance(value, dict):
        raise SpecError(f"{path}: no {DECLARATION} = {{...}} at the top level")
    _require_each_key_once(literal, path)
    return value


def declares(node: ast.stmt) -> TypeGuard[ast.Assign | ast.AnnAssign | ast.AugAssign]:
    """Return whether a statement of a module assigns its declaration, with a type or without."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and any(
        isinstance(target, ast.Name) and target.id == DECLARATION for target in targets
    )


def _require_each_key_once(literal: ast.expr, path: Path) -> None:
    """Raise SpecError for a key that a mapping of the literal has twice: to Python the second wins."""
    for mapping in ast.walk(literal):
        keys = [key for key in mapping.keys if key] if isinstance(mapping, ast.Dict) else []
        values = list(map(ast.literal_eval, keys))
        for n, value in enumerate(values):
            if value in values[:n]:
                raise SpecError(f"{path}:{keys[n].lineno}: {DECLARATION}: key {value!r} is given twice")
