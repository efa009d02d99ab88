"""`nightshift new`: the commands that draft a source, a feature set or a model. Light: the work is imported late."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from nightshift.errors import NightshiftError, RequestError
from nightshift.freeform import Declared

if TYPE_CHECKING:
    from nightshift.drafts.inference import Inferred

# How some rows are read is shown within 80 columns.
WIDTH, LONGEST_NAME, LONGEST_TYPE = 80, 24, 9
app = typer.Typer(help="Draft a spec from what is really there.", no_args_is_help=True)
console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Print what Nightshift raises on purpose as a message, not as a trace."""
    try:
        yield
    except NightshiftError as error:
        errors.print(f"[red]error:[/] {escape(str(error))}")
        raise typer.Exit(1) from error


Name = Annotated[str, typer.Argument(help="lower-case letters, digits, _; the file is named so")]


@app.command()
def source(  # noqa: PLR0913 a command's options are its arguments
    name: Name,
    *,
    folder: Annotated[
        str | None, typer.Option(help="a folder or fsspec URL; relative: from beside include/")
    ] = None,
    connection: Annotated[str | None, typer.Option(help="an Airflow connection's id")] = None,
    path: Annotated[str | None, typer.Option(help="of a file; {date} makes it one a date")] = None,
    date_column: Annotated[
        str | None, typer.Option(help="picks a date's rows out of a file of several")
    ] = None,
    offset_days: Annotated[int, typer.Option(help="-1: the night of D collects the day before")] = -1,
    query: Annotated[
        str | None, typer.Option(help="SQL; may bind :batch_date, :window_start, :window_end")
    ] = None,
    endpoint: Annotated[str | None, typer.Option(help="path below the connection's host")] = None,
    records_key: Annotated[str | None, typer.Option(help="the key of the answer's list")] = None,
    parameter: Annotated[list[str] | None, typer.Option("--parameter", help="KEY=VALUE of the query")] = None,
    outcome: Annotated[
        str | None,
        typer.Option(help="COLUMN[,COLUMN]: what becomes known later than its row; drafts NAME_outcome too"),
    ] = None,
    outcome_after: Annotated[
        int, typer.Option(min=1, max=366, help="days from the event until its outcome is delivered")
    ] = 1,
    night: Annotated[
        str | None, typer.Option(help="the first night to look at; default: the first that delivers")
    ] = None,
) -> None:
    """Look at an upstream and write include/sources/NAME.yaml."""
    files = {"folder": folder, "connection": connection, "path": path, "date_column": date_column}
    http = {
        "connection": connection,
        "endpoint": endpoint,
        "records_key": records_key,
        "parameters": parameter,
    }
    with clear_errors():
        connector = _connector(files, {"connection": connection, "query": query}, http, offset_days)
        from nightshift.drafts.new import Outcome, new_source

        later = tuple(dict.fromkeys(part.strip() for part in outcome.split(","))) if outcome else ()
        written, found = new_source(
            name, connector, night, outcome=Outcome(later, outcome_after) if later else None
        )
    for file in written:
        console.print(f"Wrote {escape(str(file))}, from {found.rows} rows of {len(found.nights)} nights.")
    console.print(*map(escape, _read(found)), sep="\n")
    for doubt in (*found.doubts, *found.clock.doubts, *found.rows_doubts):
        console.print(f"  a guess: {escape(doubt)}")
    for column, why in found.outcome.items():
        console.print(f"  known only later: {escape(column)} ({escape(why)})")
    for column, why in found.telling.items():
        console.print(f"  known beforehand? {escape(column)} {escape(why)}: if not, name it in --outcome too")
    if found.targets and not later:
        console.print(f"  could be a target: {escape(', '.join(found.targets))}")
        console.print(
            "  A target that becomes known later than the rest of its row: draft again with --outcome COLUMN"
        )
    last = found.nights[-1]
    # What came of the first night's rows is delivered so many nights later: none before that has any.
    firsts = (found.nights[0], min(found.nights[0] + timedelta(outcome_after), last))
    collects = (
        f"nightshift trigger collect_{file.stem} --from {first} --to {last} --leave"
        for file, first in zip(written, firsts, strict=False)
    )
    _next("nightshift check --deep", *collects)


@app.command()
def features(
    name: Name,
    *,
    source: Annotated[list[str], typer.Option("--source", help="the first says what a row is about")],
    entity: Annotated[
        list[str] | None, typer.Option("--entity", help="A,B or repeated; default: the first source's key")
    ] = None,
) -> None:
    """Write include/features/NAME.py, a module that builds, from its sources and what is collected of them."""
    with clear_errors():
        from nightshift.drafts.new import new_features

        about = [part.strip() for given in entity or [] for part in given.split(",")]
        written, left = new_features(name, source, about)
    console.print(f"Wrote {escape(str(written))}.")
    for column, why in left.items():
        console.print(f"  left out: {escape(column)} ({escape(why)})")
    _next("nightshift check", f"nightshift trigger features_{name} --from FIRST --to LAST --leave")


@app.command()
def model(
    name: Name,
    *,
    features: Annotated[str, typer.Option(help="a feature set")],
    target: Annotated[str, typer.Option(help="SOURCE.COLUMN: the truth, once it arrives")],
    task: Annotated[
        str | None, typer.Option(help="classification or regression; default: by the column")
    ] = None,
    above: Annotated[
        float | None, typer.Option(help="classification: where the positive class begins")
    ] = None,
    equals: Annotated[str | None, typer.Option(help="classification: the positive class")] = None,
    classes: Annotated[str | None, typer.Option(help="classification: A,B,C, one of several")] = None,
) -> None:
    """Write include/models/NAME.yaml from what its target looks like."""
    with clear_errors():
        where, dot, column = target.partition(".")
        if not dot:
            raise RequestError(f"--target {target!r}: expected SOURCE.COLUMN")
        if task not in (None, "classification", "regression"):
            raise RequestError(f"--task {task!r}: expected classification or regression")
        from nightshift.drafts.model import Ask
        from nightshift.drafts.new import new_model

        several = tuple(part.strip() for part in classes.split(",")) if classes else None
        written = new_model(name, Ask(features, column, task, above, equals, several), where)
    console.print(f"Wrote {escape(str(written))}.")
    _next(
        "nightshift check",
        f"nightshift trigger train_{name} --as-of NIGHT --reason 'first champion'",
        f"nightshift replay {name} --from NIGHT --to NIGHT  # with some months there: proposes when to retrain",
    )


def _connector(files: Declared, sql: Declared, http: Declared, offset_days: int) -> Declared:
    """Return the connector of the one kind that was asked for. Raises RequestError for none or several."""
    kinds = {"files": files, "sql": sql, "http": http}
    deciding = {"files": files["path"], "sql": sql["query"], "http": http["endpoint"]}
    asked = [kind for kind, value in deciding.items() if value is not None]
    if len(asked) != 1:
        raise RequestError(
            "give one of: --folder F --path P (or --connection ID --path P); --connection ID --query SQL; "
            "--connection ID --endpoint /path"
        )
    given = {key: value for key, value in kinds[asked[0]].items() if value is not None}
    if asked == ["files"]:
        parquet = ".parquet" in files["path"]
        given |= {"format": "parquet" if parquet else "csv", "offset_days": offset_days}
    if "parameters" in given:
        given["parameters"] = dict(_pair(text) for text in given["parameters"])
    return {"kind": asked[0], **given}


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise RequestError(f"--parameter {text!r}: expected KEY=VALUE")
    return key, value


def _read(found: "Inferred") -> Iterator[str]:
    """Yield how some rows are read, a line a column; a second one where they were delivered otherwise."""
    named = min(max(map(cell_len, found.columns)), LONGEST_NAME)
    each = len(found.read)
    value = (WIDTH - named - LONGEST_TYPE - 1 - each) // each

    def line(name: str, kind: str, values: list[str]) -> str:
        cells = [(name, named), (kind, LONGEST_TYPE), *((text, value) for text in values)]
        return " ".join(_cut(text, width) for text, width in cells).rstrip()

    yield line("column", "is", ["read as"])
    for name, guess in found.columns.items():
        read = [_shown(one, guess.type) for one in found.read[name]]
        delivered = [_shown(one, "string") for one in found.delivered[name]]
        yield line(name, guess.type, read)
        if any(map(_differ, delivered, read)):
            yield line("", "delivered", delivered)


def _shown(value: Any, kind: str) -> str:
    text = " ".join(str(value).split())
    if text in ("None", "nan", "NaT", "<NA>"):
        return ""
    if kind == "date":
        return text[:10]
    return text.removesuffix("+00:00").removesuffix(":00") if kind == "timestamp" else text


def _differ(delivered: str, read: str) -> bool:
    """Return whether a value reads as something else than its text: 12.80 is 12.8, 1,5 is not 1.5."""
    try:
        return delivered != read and float(delivered) != float(read)
    except ValueError:
        return True


def _cut(text: str, width: int) -> str:
    cell = Text(text)
    cell.truncate(width, overflow="ellipsis", pad=True)
    return cell.plain


def _next(*commands: str) -> None:
    console.print("Next: read it, then")
    for command in commands:
        console.print(f"  .venv/bin/{escape(command)}")
