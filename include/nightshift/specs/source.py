"""A source: where rows come from each night, what they look like, and what must hold of them."""

import re
from collections.abc import Iterator
from datetime import date, time, timedelta
from math import isfinite
from string import Formatter
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)

from nightshift.errors import RequestError, did_you_mean
from nightshift.freeform import Arguments
from nightshift.specs.dialect import Dialect, Zone
from nightshift.specs.parts import ColumnType, Hour, Name, Spec, Tag
from nightshift.specs.tables import OURS_BESIDE_ROWS, RAW, check_columns, check_key, check_width

# Comments, texts and quoted names of SQL: what is written in them is no code.
NO_CODE = re.compile(
    r"--[^\n]*|/\*.*?\*/|\b[eE]'(?:\\.|''|[^'\\])*'|'(?:''|[^'])*'|\"(?:\"\"|[^\"])*\"|`[^`]*`|(\$\w*\$).*?\1",
    re.DOTALL,
)
# What a replay of the quarantine can do beside a declared fix.
REPLAY_ACTIONS = ("revalidate", "recollect", "discard")
# One of them a leap year.
TWO_YEARS = [date(2023, 1, 1) + timedelta(days=day) for day in range(731)]
LONGEST_RULE = 200
MOST_TOLD = 3
# What every row is held to, beside the source's own expectations; as `quarantine.rows` names them.
ROW_RULES = (
    "type",
    "not_null",
    "finite",
    "key_length",
    "row_length",
    "other_night",
    "repeated",
    "unique_key",
)


class Column(Spec):
    """A column of the source, in the order of the spec."""

    type: ColumnType
    nullable: bool = False
    # A whole batch may have no value here. Otherwise a column without one has been lost upstream.
    may_be_empty: bool = False
    # Whose clock a timestamp without offset shows; default: the source's.
    timezone: Zone | None = None
    description: str = ""

    @model_validator(mode="after")
    def _only_instants_have_a_clock(self) -> "Column":
        if self.timezone and self.type != "timestamp":
            raise ValueError(f"timezone: only a timestamp has one, this is {self.type}")
        return self

    @model_validator(mode="after")
    def _empty_is_null(self) -> "Column":
        if self.may_be_empty and not self.nullable:
            raise ValueError("may_be_empty: needs nullable: true")
        return self


class SqlConnector(Spec):
    """Rows of a query over an Airflow connection.

    ``query`` may bind ``:batch_date`` (date), ``:window_start`` and ``:window_end`` (timestamps, UTC:
    what became known since the previous night). Values are bound, never pasted into the text.
    """

    kind: Literal["sql"] = "sql"
    connection: str = Field(min_length=1)
    query: str = Field(min_length=1)

    @field_validator("query")
    @classmethod
    def _one_statement(cls, query: str) -> str:
        bare = NO_CODE.sub(" ", query).strip()
        if not bare.strip(";").strip():
            raise ValueError("holds no statement")
        if ";" in bare.rstrip("; \t\n"):
            raise ValueError("holds several statements; of them only the first would be read: give one")
        return query


class FilesConnector(Spec):
    """CSV or Parquet files below a folder or fsspec URL: ``folder``, or a connection's (``path`` in its extra).

    ``path`` may hold ``{date}`` (or with a format, ``{date:%Y/%m/%d}``): one file a date. Without it, or where it
    names a month or a year (``{date:%Y-%m}``), ``date_column`` picks the date's rows out of the file. ``*`` in it
    stands for any part of a name: the files that fit, in the order of their names, are one table.
    """

    kind: Literal["files"] = "files"
    connection: str | None = None
    # Needs no secret. A relative one starts beside include/.
    folder: str | None = Field(default=None, min_length=1)
    path: str
    format: Literal["csv", "parquet"] = "csv"
    dialect: Dialect = Dialect()
    date_column: str | None = None
    # -1: the night of D collects the file of the day before, the last whole one.
    offset_days: int = Field(default=0, ge=-366, le=366)
    # Of all files of a night together, decompressed.
    max_megabytes: int = Field(default=1024, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _one_way_to_the_date(self) -> "FilesConnector":
        files = self._files_of_two_years()
        if 1 < files < len(TWO_YEARS) and self.date_column is None:
            raise ValueError(
                f"path: '{self.path}' is one file of several days; give date_column, which picks the rows of a day, "
                "or name the whole day in it ({date:%Y-%m-%d})"
            )
        if (files == len(TWO_YEARS)) == (self.date_column is not None):
            raise ValueError(
                "give either {date} in path (one file a date) or date_column, not both or neither"
            )
        return self

    def _files_of_two_years(self) -> int:
        try:
            names = {(name, how) for _, name, _, how in Formatter().parse(self.path) if name is not None}
            if names <= {("date", None)}:
                return len({self.path.format(date=day) for day in TWO_YEARS})
        except ValueError:
            pass  # no pattern: whoever fills it in tells
        return len(TWO_YEARS) if "{date" in self.path else 1

    @property
    def is_one_file(self) -> bool:
        """Whether all nights read one file."""
        return self._files_of_two_years() == 1

    @model_validator(mode="after")
    def _one_place(self) -> "FilesConnector":
        if (self.connection is None) == (self.folder is None):
            raise ValueError(
                "give either folder (needs no secret) or connection (an Airflow connection), not both or neither"
            )
        if "@" in urlsplit(self.folder or "").netloc:
            raise ValueError("folder: holds a login; secrets belong into an Airflow connection")
        return self

    @model_validator(mode="after")
    def _dialect_of_text(self) -> "FilesConnector":
        _only_csv_has_a_dialect(self.format, self.dialect)
        return self


def _only_csv_has_a_dialect(form: str, dialect: Dialect) -> None:
    if form != "csv" and dialect != Dialect():
        raise ValueError(f"dialect: only CSV has one, not {form}")


class Paging(Spec):
    """How an HTTP source continues: by page number, or by the URL or token found in each answer.

    ``single``: one answer is all there is, whatever else it says.
    """

    kind: Literal["page", "cursor", "single"] = "page"
    # page: the number goes into this query parameter; cursor: the token does.
    parameter: str = "page"
    first: int = 1
    size_parameter: str | None = None
    size: int = Field(default=1000, ge=1, le=100_000)
    # cursor: the key of the answer that holds the next token; null ends the pages, and so does its absence.
    next_key: str = "next"
    # Whether it may be absent from every answer, the first one being the last.
    next_may_be_absent: bool = False
    # The key of the answer that holds the number of all rows. None: as collect/ends.py finds it; false: none does.
    total: str | Literal[False] | None = None
    # page: the status of the page after the last one; None: it is an empty page.
    end_status: int | None = Field(default=None, ge=400, le=499)
    max_pages: int = Field(default=1000, ge=1)


class HttpConnector(Spec):
    """JSON or CSV over HTTP from a connection's host. Endpoint and parameters may hold ``{batch_date}``."""

    kind: Literal["http"] = "http"
    connection: str = Field(min_length=1)
    endpoint: str
    format: Literal["json", "csv"] = "json"
    dialect: Dialect = Dialect()
    records_key: str | None = None
    parameters: dict[str, str] = {}
    paging: Paging | None = None
    # Of a whole request, from the first byte sent to the last one received.
    timeout_seconds: float = Field(default=30, gt=0, le=600)
    retries: int = Field(default=3, ge=0, le=10)
    # Of all answers of a night together, decompressed.
    max_megabytes: int = Field(default=256, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _dialect_of_text(self) -> "HttpConnector":
        _only_csv_has_a_dialect(self.format, self.dialect)
        return self

    @model_validator(mode="after")
    def _each_parameter_once(self) -> "HttpConnector":
        of_paging = [self.paging.parameter, self.paging.size_parameter] if self.paging else []
        if self.paging and self.paging.kind == "single":
            of_paging = []
        asked = {name for name, _ in parse_qsl(urlsplit(self.endpoint).query, keep_blank_values=True)}
        given = [*asked, *self.parameters, *(name for name in of_paging if name)]
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise ValueError(
                f"the query parameter '{twice[0]}' is given twice, in endpoint, parameters or paging; which one "
                "counts would be a guess"
            )
        return self


ConnectorSpec = Annotated[SqlConnector | FilesConnector | HttpConnector, Field(discriminator="kind")]


class Budget(Spec):
    """How much of a batch may be set aside before the whole batch is refused: both limits hold."""

    share: float = Field(default=0.05, ge=0, le=1)
    rows: int = Field(default=100_000, ge=0)


Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
FIX_ACTIONS = ("multiply", "set_null", "replace")


class Fix(Spec):
    """What a replay may do to rows that were set aside: one action on one column."""

    column: str
    multiply: float | None = Field(default=None, allow_inf_nan=False)
    set_null: Literal[True] | None = None
    # From the value as ``quarantine.rows.value`` shows it.
    replace: dict[Scalar, Scalar] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_action(self) -> "Fix":
        given = [name for name in FIX_ACTIONS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of {', '.join(FIX_ACTIONS)}; got {', '.join(given) or 'none'}"
            )
        return self

    @property
    def action(self) -> str:
        """The action's name."""
        return next(name for name in FIX_ACTIONS if getattr(self, name) is not None)

    def __str__(self) -> str:
        if self.multiply is not None:
            return f"multiply {self.column} by {self.multiply:g}"
        if self.replace is not None:
            pairs = ", ".join(f"{old!r} by {new!r}" for old, new in list(self.replace.items())[:MOST_TOLD])
            return f"in {self.column}, replace {pairs}{', ...' if len(self.replace) > MOST_TOLD else ''}"
        return f"empty {self.column}"


class Volume(Spec):
    """How many rows a batch may have, against the median of the same weekday in the trailing weeks."""

    weeks: int = Field(default=4, ge=2, le=52)
    at_least: float = Field(default=0.5, ge=0, le=1)
    at_most: float = Field(default=2.0, ge=1)


class Freshness(Spec):
    """How old the newest event of a batch may be at the night's cut-off: event time, not load time."""

    column: str
    within_hours: float = Field(gt=0, le=24 * 366)


class Source(Spec):
    """One source. The file name is its name."""

    name: Name
    owner: Tag
    description: str
    connector: ConnectorSpec
    columns: dict[str, Column] = Field(min_length=1)
    key: list[str] = Field(min_length=1)
    # The column (timestamp) that says when a row became known; null: known at the night's cut-off.
    known_at: str | None = None
    # Great Expectations, by their own names: {expect_column_values_to_be_between: {column: ..., ...}}
    expectations: list[dict[str, Arguments]] = []
    budget: Budget = Budget()
    # Each night collects the batches of so many nights before it again: for rows that come late or are corrected.
    look_back_days: int = Field(default=0, ge=0, le=31)
    # warn: an undeclared column is left out, a missing nullable one is null. Nothing else is forgiven.
    schema_changes: Literal["fail", "warn"] = "fail"
    # ignore: columns that are delivered and not declared are left out, without a word.
    other_columns: Literal["refuse", "ignore"] = "refuse"
    # Whose clock a timestamp without offset shows. A project's specs have the project's, if they do not say.
    timezone: Zone = "UTC"
    # How long a night that the schedule began asks an upstream that is away; null: until the project's agreed hour.
    retry_until: Hour | None = None
    volume: Volume | None = None
    freshness: Freshness | None = None
    # What a replay of the quarantine may do, by name.
    fixes: dict[Name, Fix] = {}
    tags: list[Tag] = []

    @property
    def text_is_all(self) -> bool:
        """Whether the source knows only text (CSV), so that numbers and booleans are read from it."""
        return getattr(self.connector, "format", None) == "csv"

    @property
    def dialect(self) -> Dialect:
        """How the source spells its values, if it knows only text; otherwise the plain one."""
        return getattr(self.connector, "dialect", Dialect())

    @property
    def events(self) -> list[str]:
        """The columns that say when something happened: the freshness's, and an instant that picks the rows."""
        picks = getattr(self.connector, "date_column", None)
        named = [picks, self.freshness.column if self.freshness else None]
        return [name for name in named if name in self.columns and self.columns[name].type == "timestamp"]

    def zone_of(self, column: str) -> ZoneInfo:
        """Return the time zone of a column's timestamps without offset."""
        declared = self.columns.get(column)
        return ZoneInfo((declared and declared.timezone) or self.timezone)

    def tried_until(self, agreed: time) -> time:
        """Return the hour until which a night asks its upstream; ``agreed``: by when the project's nights are over."""
        return time.fromisoformat(self.retry_until) if self.retry_until else agreed

    @field_validator("expectations")
    @classmethod
    def _one_expectation_an_item(cls, items: list[dict[str, Arguments]]) -> list[dict[str, Arguments]]:
        for item in items:
            if len(item) != 1 or not next(iter(item)).startswith("expect_"):
                raise ValueError(f"expected one 'expect_...' with its arguments, got {item}")
            if not all(map(isfinite, _numbers(item))):
                raise ValueError(f"expected finite numbers, got {item}")
        return items

    @field_validator("columns")
    @classmethod
    def _columns_fit_a_table(cls, columns: dict[str, Column]) -> dict[str, Column]:
        check_columns(columns, OURS_BESIDE_ROWS)
        check_width({name: column.type for name, column in columns.items()}, RAW)
        return columns

    @field_validator("key")
    @classmethod
    def _key_fits_a_table(cls, key: list[str]) -> list[str]:
        check_key(key)
        return key

    @model_validator(mode="after")
    def _columns_exist(self) -> "Source":
        for where, names in self._references():
            for name in names:
                if name not in self.columns:
                    raise ValueError(f"{where}: unknown column '{name}'{did_you_mean(name, self.columns)}")
        return self

    @model_validator(mode="after")
    def _what_tells_rows_apart_is_there(self) -> "Source":
        for where, names in (("key", self.key), ("known_at", [self.known_at] if self.known_at else [])):
            for name in names:
                if self.columns[name].nullable:
                    raise ValueError(
                        f"{where}: column '{name}' is nullable; take nullable: true away, and rows without a value "
                        "are set aside"
                    )
        return self

    @model_validator(mode="after")
    def _instants_are_timestamps(self) -> "Source":
        instants = {"known_at": self.known_at, "freshness.column": getattr(self.freshness, "column", None)}
        for key, name in instants.items():
            if name and self.columns[name].type != "timestamp":
                raise ValueError(f"{key}: column '{name}' must be a timestamp")
        return self

    @model_validator(mode="after")
    def _date_column_says_the_night(self) -> "Source":
        files = self.connector
        name = files.date_column if isinstance(files, FilesConnector) else None
        column = self.columns.get(name or "")
        # Whether it is declared, the project asks: a first look at an upstream declares nothing yet.
        if not isinstance(files, FilesConnector) or column is None:
            return self
        if column.type not in ("date", "timestamp") or column.nullable:
            raise ValueError(
                f"connector.date_column: '{name}' says which night a row belongs to; it must be a date or a "
                "timestamp, and not nullable. Rows without a readable one are set aside"
            )
        if column.type == "timestamp" and files.offset_days >= 0 and not self.known_at:
            raise ValueError(
                f"connector.offset_days: the events of '{name}' on the day of a night happen after its cut-off, and "
                "are not known at it; write offset_days: -1 (the day before), or name the column that says when a "
                "row became known in known_at"
            )
        return self

    @model_validator(mode="after")
    def _fixes_fit(self) -> "Source":
        for name, fix in self.fixes.items():
            column = self.columns[fix.column]
            if name in REPLAY_ACTIONS:
                raise ValueError(f"fixes.{name}: the name is an action of every replay; choose another")
            if fix.multiply is not None and column.type not in ("integer", "float"):
                raise ValueError(
                    f"fixes.{name}: multiply needs a number; column '{fix.column}' is {column.type}"
                )
            if fix.set_null and not column.nullable:
                raise ValueError(
                    f"fixes.{name}: set_null needs a column with nullable: true, not '{fix.column}'"
                )
        return self

    @model_validator(mode="after")
    def _replacements_fit(self) -> "Source":
        for name, fix in self.fixes.items():
            kind = self.columns[fix.column].type
            for old, new in (fix.replace or {}).items():
                # What was delivered and set aside may be any text, and so may what replaces it where all is text.
                for value, may_be_text in ((old, True), (new, self.text_is_all)):
                    if not _is_of(value, kind) and not (may_be_text and isinstance(value, str)):
                        raise ValueError(
                            f"fixes.{name}.replace: {value!r} is not of the type of column '{fix.column}', {kind} "
                            "(quote it? YAML reads NO as false)"
                        )
        return self

    @model_validator(mode="after")
    def _corrections_have_a_time(self) -> "Source":
        if self.look_back_days and not self.known_at:
            # A correction that counted as known when its night ran would leak into the past.
            raise ValueError("look_back_days: needs known_at, the column that says when a row became known")
        return self

    @property
    def rules(self) -> list[str]:
        """The rules that rows of this source can be set aside by: its own expectations of columns first."""
        own = dict.fromkeys(name for item in self.expectations for name in item if "column" in name)
        return [*own, *ROW_RULES]

    def _references(self) -> list[tuple[str, list[str]]]:
        named = [("key", self.key), ("known_at", [self.known_at] if self.known_at else [])]
        named += [(f"fixes.{name}", [fix.column]) for name, fix in self.fixes.items()]
        named += [("freshness.column", [self.freshness.column])] if self.freshness else []
        for item in self.expectations:
            for expectation, arguments in item.items():
                columns = [v for k, v in arguments.items() if k in {"column", "column_A", "column_B"}]
                named.append((expectation, [*columns, *arguments.get("column_list", [])]))
        return named


def require_replay(action: object, rule: object, reason: object) -> None:
    """Raise RequestError for what is no rule's name, an action that takes none, or rows discarded without a reason."""
    if rule is not None and not (isinstance(rule, str) and 0 < len(rule) <= LONGEST_RULE):
        raise RequestError(
            f"rule: expected the name of a rule, of at most {LONGEST_RULE} characters, or nothing"
        )
    if rule and action in ("revalidate", "recollect"):
        raise RequestError(f"rule: '{action}' judges the whole night; leave the rule empty")
    if action == "discard" and not str(reason or "").strip():
        raise RequestError("reason: needed to discard rows; it is kept with them")


def _is_of(value: Any, kind: ColumnType) -> bool:
    if kind in ("integer", "float"):
        return type(value) is int or (kind == "float" and isinstance(value, float))
    return isinstance(value, bool if kind == "boolean" else str)


def _numbers(content: Any) -> Iterator[float]:
    if isinstance(content, dict | list):
        for value in content.values() if isinstance(content, dict) else content:
            yield from _numbers(value)
    elif isinstance(content, float):
        yield content
