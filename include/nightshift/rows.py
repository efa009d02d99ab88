"""What a fixed table's row is, and the statements made from it. No database here: :mod:`nightshift.database` runs them.

A row type is a frozen dataclass whose fields are the table's columns; inserts, upserts and plain selects are made from
the fields, so a column is written by its name and read into its type. Interesting questions stay SQL, with a row type
for the answer. Placeholders are ``%(name)s`` everywhere.
"""

import re
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar, get_origin, get_type_hints

from pydantic import TypeAdapter

from nightshift.freeform import Values

# Marks a column of JSON: ``profile: Annotated[Profile, JSON]``.
JSON = "json"
PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def stamped() -> Any:
    """Return the field of an instant that the database writes: when the row came, and again when it is replaced."""
    return field(default=None, metadata={"by_database": "DEFAULT"})


def numbered() -> Any:
    """Return the field of a column that the database fills once, such as a number."""
    return field(default=None, metadata={"by_database": ""})


class Row:
    """The row of a fixed table (``table``, ``key``), or of a question's answer (neither)."""

    table: ClassVar[str] = ""
    key: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, *, table: str = "", key: tuple[str, ...] = (), **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if table:
            cls.table, cls.key = table, key

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Return the names of all columns."""
        return tuple(each.name for each in fields(cls))  # type: ignore[arg-type]  # subclasses are dataclasses

    @classmethod
    def of(cls, row: Values) -> Self:
        """Return the row with its JSON columns as their types; as text, each is read in a third of the time.

        Raises:
            pydantic.ValidationError: one is no such.
        """
        typed = dict(row)
        for name, adapter in json_columns(cls).items():
            if (value := typed[name]) is not None:
                read = adapter.validate_json if isinstance(value, str) else adapter.validate_python
                typed[name] = read(value)
        return cls(**typed)

    def values(self) -> Values:
        """Return the columns that are written, JSON as plain values."""
        written = {name: getattr(self, name) for name in given(type(self))}
        for name, adapter in json_columns(type(self)).items():
            if written.get(name) is not None:
                written[name] = adapter.dump_python(written[name], mode="json")
        return written


def json_columns(row: type[Row]) -> dict[str, TypeAdapter[Any]]:
    """Return the columns of JSON, each with what reads and writes it."""
    if row not in _ADAPTERS:
        hints = get_type_hints(row, include_extras=True)
        marked = {n: h for n, h in hints.items() if get_origin(h) is Annotated and JSON in h.__metadata__}
        _ADAPTERS[row] = {name: TypeAdapter(hint.__origin__) for name, hint in marked.items()}
    return _ADAPTERS[row]


# Made at the first use of a row type: an adapter takes a millisecond.
_ADAPTERS: dict[type[Row], dict[str, TypeAdapter[Any]]] = {}


def given(row: type[Row]) -> list[str]:
    """Return the columns that are written: not those that the database fills."""
    return [each.name for each in fields(row) if "by_database" not in each.metadata]  # type: ignore[arg-type]


R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class _Statement:
    text: str

    @cached_property
    def numbered(self) -> tuple[str, tuple[str, ...]]:
        """The text with ``$1``, ``$2``, ... as ADBC and PREPARE take it, and the names in that order."""
        names = tuple(dict.fromkeys(PLACEHOLDER.findall(self.text)))
        return PLACEHOLDER.sub(lambda found: f"${names.index(found[1]) + 1}", self.text), names

    def positional(self, values: Values) -> tuple[str, list[Any]]:
        """Return the text with numbered placeholders, and what they stand for in their order."""
        text, names = self.numbered
        return text, [values[name] for name in names]


@dataclass(frozen=True)
class Query(_Statement, Generic[R]):
    """A question: its answer has a row of type ``row`` each."""

    row: type[R]


@dataclass(frozen=True)
class Command(_Statement):
    """A statement that writes. ``json``: which of its placeholders are JSON."""

    json: frozenset[str] = frozenset()


def select(row: type[R], where: str = "", *, order: str = "") -> Query[R]:
    """Return the question for rows of a table."""
    text = f"SELECT {', '.join(row.columns())} FROM {row.table}"
    return Query(text + (f" WHERE {where}" if where else "") + (f" ORDER BY {order}" if order else ""), row)


def insert(row: type[Row], otherwise: str = "") -> Command:
    """Return the insert of a row; ``otherwise``: what follows, such as ``ON CONFLICT DO NOTHING``."""
    names, json = given(row), json_columns(row)
    # ADBC sends JSON as text. Not jsonb: a column of json keeps a number as it is spelled.
    marks = ", ".join(f"%({name})s::json" if name in json else f"%({name})s" for name in names)
    text = f"INSERT INTO {row.table} ({', '.join(names)}) VALUES ({marks})"
    return Command(f"{text} {otherwise}".rstrip(), frozenset(json_columns(row)))


def upsert(row: type[Row], *, where: str = "", **instead: str) -> Command:
    """Return the insert of a row that replaces the one of its key, and its stamps with it.

    ``where``: only then. ``instead``: SQL for a column in the place of the new value.
    """
    stamps = {
        each.name: each.metadata["by_database"]
        for each in fields(row)  # type: ignore[arg-type]
        if each.metadata.get("by_database")
    }
    new = {name: f"excluded.{name}" for name in given(row) if name not in row.key} | stamps | instead
    changes = ", ".join(f"{name} = {value}" for name, value in new.items())
    condition = f" WHERE {where}" if where else ""
    return insert(row, f"ON CONFLICT ({', '.join(row.key)}) DO UPDATE SET {changes}{condition}")
