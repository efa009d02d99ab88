"""The tables that follow from specs: their columns, keys and DDL. Fixed tables come from migrations."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

import pandas as pd
import pyarrow as pa
from psycopg2 import sql

from nightshift.errors import BatchRejected, SpecError
from nightshift.specs import FeatureSet, Model, Source, class_column
from nightshift.specs.tables import BATCH, LABELS, PREDICTIONS, RAW
from nightshift.types import ARROW, POSTGRES, to_arrow


@dataclass(frozen=True)
class Table:
    """A partitioned table: ``columns`` maps names to spec types; ``batch_date`` is the partition."""

    schema: str
    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    required: frozenset[str] = field(default=frozenset({"batch_date"}))
    # The source or feature set whose spec this is, where its name is not the table's.
    declared_by: str | None = None

    @property
    def qualified(self) -> str:
        """``schema.name``, as leases and messages spell it."""
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        """The quoted name."""
        return sql.Identifier(self.schema, self.name)

    @property
    def arrow_schema(self) -> pa.Schema:
        """The columns in their exact types."""
        return pa.schema([(name, ARROW[kind]) for name, kind in self.columns.items()])

    def narrowed(self, names: Iterable[str]) -> "Table":
        """Return the table with these columns only, to read no others."""
        return replace(self, columns={name: self.columns[name] for name in names})

    def arrow(self, frame: pd.DataFrame) -> pa.Table:
        """Return ``frame`` (its columns: at least this table's) as Arrow in this table's exact types.

        Raises:
            BatchRejected: a column holds what its type cannot hold.
        """
        try:
            return to_arrow(frame, self.columns)
        except TypeError as error:
            raise BatchRejected(f"table {self.qualified}: {error}") from error

    def ddl(self) -> list[sql.Composed]:
        """Return the statements that create the table, or add the columns a spec has gained."""
        columns = [
            sql.SQL("{} {} {}").format(
                sql.Identifier(name),
                sql.SQL(POSTGRES[kind]),
                sql.SQL("NOT NULL" if name in self.required else ""),
            )
            for name, kind in self.columns.items()
        ]
        key = sql.SQL(", ").join(map(sql.Identifier, self.key))
        created = sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY ({}))").format(
            self.identifier, sql.SQL(", ").join(columns), key
        )
        added = [
            sql.SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} {}").format(
                self.identifier, sql.Identifier(name), sql.SQL(POSTGRES[kind])
            )
            for name, kind in self.columns.items()
        ]
        return [created, *added]


def raw_table(source: Source) -> Table:
    """Return the table of a source's accepted rows."""
    declared = {name: column.type for name, column in source.columns.items()}
    columns = _beside(declared, RAW, f"source '{source.name}'")
    required = frozenset({*BATCH, *RAW, *source.key})
    return Table("raw", source.name, columns, ("batch_date", *source.key), required)


def quarantine_table() -> Table:
    """Return the table of rejected rows; one for all sources."""
    columns = {
        "source": "string",
        "batch_date": "date",
        "row_number": "integer",
        "rule": "string",
        "column_name": "string",
        "value": "string",
        "row": "json",
        "violations": "json",
        "landed_sha256": "string",
    }
    return Table("quarantine", "rows", columns, ("source", "batch_date", "row_number"))


def feature_table(spec: FeatureSet) -> Table:
    """Return the table of one version of a feature set."""
    declared = {**dict.fromkeys(spec.entity, "string"), **spec.columns}
    columns = _beside(declared, {}, f"feature set '{spec.name}'")
    return Table("features", spec.table, columns, ("batch_date", *spec.entity), declared_by=spec.name)


def feature_inputs_table() -> Table:
    """Return the table of the raw batches that feature partitions were built from; one for all sets."""
    columns = {
        "feature_set": "string",
        "feature_version": "integer",
        "batch_date": "date",
        "source": "string",
        "source_batch_date": "date",
        "landed_sha256": "string",
        "landed_by": "string",
    }
    return Table("catalog", "feature_inputs", columns, tuple(columns)[:5])


def prediction_table(model: Model, feature_set: FeatureSet) -> Table:
    """Return a model's predictions: what was said, by which version, from which features.

    Of several classes ``prediction`` is the likeliest, and each has a column with its probability: null in the rows
    that were written before the class was declared, or after.
    """
    each = dict.fromkeys(map(class_column, model.classes), "float")
    ours = {**PREDICTIONS, **({"prediction": "string"} if each else {}), **each}
    columns = _beside(dict.fromkeys(feature_set.entity, "string"), ours, f"model '{model.name}'")
    required = frozenset(columns.keys() - each.keys())
    return Table("predictions", model.name, columns, ("batch_date", "arm", *feature_set.entity), required)


def label_table(model: Model, feature_set: FeatureSet) -> Table:
    """Return a model's labels: what each report said came true. A partition is what one night's batch reported."""
    columns = _beside(dict.fromkeys(feature_set.entity, "string"), LABELS, f"model '{model.name}'")
    key = ("batch_date", *feature_set.entity, "known_at")
    return Table("labels", model.name, columns, key, frozenset(key))


def _beside(declared: Mapping[str, str], ours: Mapping[str, str], whose: str) -> dict[str, str]:
    """Return the batch date's column, the declared ones, and ours. Raises SpecError on a name of ours."""
    taken = sorted({*BATCH, *ours} & declared.keys())
    if taken:
        raise SpecError(f"{whose}: column '{taken[0]}' is a name of ours; choose another")
    return {**BATCH, **declared, **ours}


def rendered(query: sql.Composable) -> str:
    """Render a composed query without a connection: identifiers, and dates and whole numbers where none can be bound.

    Any other value is bound, or refused here.
    """
    if isinstance(query, sql.Composed):
        return "".join(rendered(part) for part in query.seq)
    if isinstance(query, sql.Identifier):
        return ".".join('"' + part.replace('"', '""') + '"' for part in query.strings)
    if isinstance(query, sql.SQL):
        return query.string
    if isinstance(query, sql.Literal) and type(query.wrapped) in (date, int):
        return f"DATE '{query.wrapped}'" if type(query.wrapped) is date else str(query.wrapped)
    raise TypeError(f"only SQL, identifiers, dates and whole numbers can be rendered, not {query!r}")
