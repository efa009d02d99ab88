"""The target: a column of a source, and what of it is learned. Each way to say it fits some declared types only."""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from math import isfinite
from typing import Any, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr, field_validator, model_validator

from nightshift.errors import SpecError
from nightshift.specs.parts import Name, Spec

Value = StrictBool | StrictInt | StrictStr
Form = Literal["above", "equals", "classes", "value"]
MOST_CLASSES = 100
LONGEST_CLASS = 200
COLUMN_LETTERS = 40  # of a class in its column's name: PostgreSQL ends names at 63 bytes

# Which declared types each way fits; ``value`` is the column itself, a regression's.
FITS: Mapping[Form, frozenset[str]] = {
    "above": frozenset({"integer", "float"}),
    "equals": frozenset({"string", "integer", "boolean"}),
    "classes": frozenset({"string", "integer"}),
    "value": frozenset({"integer", "float"}),
}
INSTEAD: Mapping[str, str] = {
    "string": 'write equals: "TEXT" (one against the rest) or classes: ["A", "B", ...], with task: classification',
    "integer": "write above: NUMBER, equals: INTEGER or classes: [1, 2, ...], or task: regression",
    "float": "write above: NUMBER, or task: regression",
    "boolean": "write equals: true, with task: classification",
    "date": "have the source deliver a number, a text or a boolean (days until then, happened or not)",
    "timestamp": "have the source deliver a number, a text or a boolean (hours until then, happened or not)",
}
TYPES: Mapping[type, str] = {bool: "boolean", int: "integer", str: "string"}
QUOTED = "YAML reads yes, no, on, off, true and false as booleans, and 1 as a number: quote what is text"


class Target(Spec):
    """The truth, once it arrives: a column of a source, joined on the feature set's entity.

    Classification gives one of ``above`` (the positive class is column > above), ``equals`` (it is this very value)
    and ``classes`` (one of several); regression none. Rows where the column is null have no label.
    """

    source: Name
    column: str
    # An integer stays one: large ones are compared exactly.
    above: int | float | None = None
    equals: Value | None = None
    classes: tuple[Value, ...] | None = None
    # Values that are none of ``classes``: refused by name, or rows without a label.
    other_values: Literal["refuse", "unlabelled"] = "refuse"
    # The label of batch date D is complete in what the night of D + matures_after_days knows.
    matures_after_days: int = Field(default=1, ge=0, le=366)

    @field_validator("above", mode="before")
    @classmethod
    def _a_number(cls, given: Any) -> Any:
        if given is not None and (type(given) not in (int, float) or not isfinite(given)):
            raise ValueError(f"a finite number, got {given!r}; a text, true or false is compared with equals")
        return _within_64_bits(given)

    @field_validator("equals", mode="before")
    @classmethod
    def _exact(cls, given: Any) -> Any:
        return given if given is None else _value(given)

    @field_validator("classes", mode="before")
    @classmethod
    def _distinct(cls, given: Any) -> Any:
        if given is None:
            return None
        if not isinstance(given, (list, tuple)) or not 2 <= len(given) <= MOST_CLASSES:
            raise ValueError(
                f"a list of 2 to {MOST_CLASSES} texts or integers; for one against the rest write equals"
            )
        kinds = {type(_value(each)) for each in given}
        if len(kinds) > 1 or bool in kinds:
            raise ValueError(f"all texts, or all integers; got {list(given)!r:.200}. {QUOTED}")
        doubled = sorted({str(each) for each in given if list(given).count(each) > 1})
        if doubled:
            raise ValueError(f"'{doubled[0]:.60}' is there twice")
        return tuple(given)

    @model_validator(mode="after")
    def _one_form(self) -> "Target":
        given = [name for name in ("above", "equals", "classes") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of above, equals and classes; got {', '.join(given)}")
        if self.other_values != "refuse" and self.classes is None:
            raise ValueError("other_values: only with classes")
        columns = [class_column(each) for each in self.labels]
        doubled = [each for each in self.labels if columns.count(class_column(each)) > 1]
        if doubled:
            raise ValueError(
                f"classes: {', '.join(doubled)} would share the column {class_column(doubled[0])}"
            )
        return self

    @property
    def form(self) -> Form:
        """Which way it is said."""
        given: list[Form] = ["above", "equals", "classes"]
        return next((name for name in given if getattr(self, name) is not None), "value")

    @property
    def rule(self) -> str:
        """What is learned of the column, in words: ``flights.delay > 15``."""
        column = f"{self.source}.{self.column}"
        if self.above is not None:
            return (
                f"{column} > {self.above:g}" if isinstance(self.above, float) else f"{column} > {self.above}"
            )
        if self.equals is not None:
            return f"{column} = {json.dumps(self.equals, ensure_ascii=False)}"
        return column

    @property
    def definition(self) -> str:
        """What decides a label, as JSON: two of one definition mean the same by each of their labels."""
        decides = {"column", "above", "equals", "classes"}
        return json.dumps(self.model_dump(include=decides, exclude_none=True), ensure_ascii=False)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes as texts, in their order; none but for ``classes``."""
        return tuple(map(str, self.classes or ()))

    def check_type(self, declared: str) -> None:
        """Raise SpecError, with what to write instead, unless this target fits a column of this declared type."""
        key = "target.column" if self.form == "value" else f"target.{self.form}"
        if declared not in FITS[self.form]:
            asked = "number to learn" if self.form == "value" else self.form
            raise SpecError(
                f"key '{key}': column '{self.column}' of source '{self.source}' is {declared}, which has no {asked}; "
                f"{INSTEAD[declared]}"
            )
        for value in [*([] if self.equals is None else [self.equals]), *(self.classes or ())]:
            if TYPES[type(value)] != declared:
                raise SpecError(
                    f"key '{key}': column '{self.column}' of source '{self.source}' is {declared}, and {value!r:.60} "
                    f"is {TYPES[type(value)]}: it would equal no row. {QUOTED}; {INSTEAD[declared]}"
                )


def class_column(label: str) -> str:
    """Return the column that holds the probability of a class: ``p_`` and its letters, digits and underscores.

    It follows from the class alone, so that it stays when classes are added or change their order. Where the name is
    not the class itself, six digits of its hash keep ``C`` and ``C++`` apart.
    """
    plain = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")[:COLUMN_LETTERS]
    return (
        f"p_{plain}"
        if plain == label
        else f"p_{plain}_{sha256(label.encode()).hexdigest()[:6]}".replace("__", "_")
    )


def _value(given: Any) -> Any:
    if type(given) not in TYPES:
        raise ValueError(
            f"a text, an integer, true or false, got {given!r:.60}; numbers with a fraction are compared with above"
        )
    if isinstance(given, str) and not (0 < len(given) <= LONGEST_CLASS and min(given) >= " "):
        raise ValueError(
            f"a text of 1 to {LONGEST_CLASS} characters, none a control character, got {given[:60]!r}"
        )
    return _within_64_bits(given)


def _within_64_bits(given: Any) -> Any:
    if isinstance(given, int) and not -(2**63) <= given < 2**63:
        raise ValueError(f"an integer of 64 bits, got {given}")
    return given
