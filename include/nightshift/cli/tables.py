"""The warehouse's tables beside the specs: compared by `nightshift check --deep`, changed by `nightshift migrate`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nightshift.cli import handles, logins
from nightshift.errors import NotReady, RequestError, TableMismatch, Unreachable
from nightshift.specs import Project, Source, load_project

if TYPE_CHECKING:
    from nightshift.warehouse import Table, Warehouse


def compare(project: Project) -> list[str]:
    """Compare every table that is there with its spec; return what to tell: older nights' nulls, or why nothing was.

    Raises:
        TableMismatch: one line a table that is not what its spec declares.
    """
    from nightshift.warehouse import Warehouse

    try:
        warehouse = Warehouse(handles.warehouse_url("reader"))
    except NotReady:
        return []
    wrong = []
    for table in _tables(project):
        try:
            warehouse.compare(table)
        except Unreachable:
            return ["The warehouse does not answer: its tables were not compared with the specs."]
        except TableMismatch as error:
            wrong.append(str(error))
    if wrong:
        raise TableMismatch("\n".join(wrong))
    nulls = [line for source in project.sources.values() for line in _nulls(warehouse, source)]
    return [*nulls, *logins.missing(warehouse)]


def _nulls(warehouse: "Warehouse", source: Source) -> Iterator[str]:
    """Yield, a column that the spec says is never null, what older nights hold of nulls in it."""
    from nightshift.warehouse import raw_table

    table = raw_table(source)
    never = [
        name for name, column in source.columns.items() if not column.nullable and name not in table.required
    ]
    for name, (count, first) in warehouse.nulls(table, never).items():
        yield (
            f"table {table.qualified}: column '{name}' is null in {count} rows, first in the night of {first}, and "
            f"never in the spec: features that look back see them. Collect these nights again (nightshift trigger "
            f"collect_{source.name} --from {first} ...), which sets such rows aside, or write nullable: true"
        )


def retype(url: str, what: str, name: str | None, *, dry_run: bool) -> list[str]:
    """Change the table of a source or a feature set to what its spec declares; return what was, or would be, done.

    Raises:
        RequestError: no name.
        TableMismatch: the first row of which a change does not hold. Nothing was changed.
    """
    from nightshift.warehouse import Warehouse, feature_table, raw_table

    if name is None:
        raise RequestError(f"migrate {what}: name which one")
    project = load_project()
    table = raw_table(project.source(name)) if what == "source" else feature_table(project.feature_set(name))
    warehouse = Warehouse(url)
    done = warehouse.retype(table, f"migrate {what} {name}", dry_run=dry_run)
    head = f"{table.qualified} would change" if dry_run else f"{table.qualified} has changed"
    told = [f"{head}:", *(f"  {line}" for line in done)] if done else []
    if what == "source":
        told += _reread(warehouse, project, name, dry_run=dry_run)
    return told or [f"{table.qualified} is what its spec declares."]


def _reread(warehouse: "Warehouse", project: Project, name: str, *, dry_run: bool) -> list[str]:
    from nightshift.stages.rereading import accept_reading

    found = accept_reading(project, warehouse, name, dry_run=dry_run)
    head = f"source {name} {'would be' if dry_run else 'is'} read otherwise from now on"
    return [f"{head}:", *(f"  {line}" for line in found)] if found else []


def _tables(project: Project) -> Iterator["Table"]:
    from nightshift.warehouse import feature_table, prediction_table, raw_table

    yield from map(raw_table, project.sources.values())
    yield from map(feature_table, project.feature_sets.values())
    for model in project.models.values():
        yield prediction_table(model, project.feature_set(model.features))
