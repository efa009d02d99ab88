"""Look, guess, write, and check what was written: a draft that is not sound is not left behind."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from nightshift.calendar import parse_date
from nightshift.collect import Sniffed, connection_of, spelled_as
from nightshift.drafts import features as feature_module
from nightshift.drafts import inference, look, model, source
from nightshift.errors import NightshiftError, RequestError, SpecError, did_you_mean
from nightshift.freeform import Declared
from nightshift.root import INCLUDE
from nightshift.specs import Dialect, FeatureSet, FilesConnector, Project, Source, load_project
from nightshift.specs.leaks import is_announced_with_its_outcome, is_of_one_file
from nightshift.specs.parts import build
from nightshift.spelling import plain
from nightshift.validate import validate
from nightshift.validate.batches import gathered
from nightshift.validate.coerce import coerce


@dataclass(frozen=True)
class Outcome:
    """What the user said of columns that become known ``after`` days later than the rest of their row."""

    columns: tuple[str, ...]
    after: int = 1


def new_source(
    name: str,
    connector: Declared,
    night: str | None,
    *,
    outcome: Outcome | None = None,
    include: Path = INCLUDE,
) -> tuple[list[Path], inference.Inferred]:
    """Look at an upstream and write its spec, or with an outcome two; return the files and what was found.

    Raises:
        NightshiftError: nothing is delivered, or what came does not fit a spec; no file is written then.
    """
    project = load_project(include)
    if outcome:
        _free(include / "sources" / f"{name}{OUTCOME}.yaml")
        connector = _announced(connector)
    path = _free(include / "sources" / f"{name}.yaml")
    connector, doubts = spelled(name, connector, night, project)
    asked, rows, columns, clock, odd, doubts = _shown(
        _undeclared(name, connector, project), doubts, night, project
    )
    connector = _with_dialect(connector, asked.dialect)
    delivered = rows.columns.drop("batch_date")
    for column in outcome.columns if outcome else ():
        if column not in delivered:
            raise RequestError(f"--outcome: there is no column '{column}'{did_you_mean(column, delivered)}")
    cutoffs = {day: project.calendar.cutoff(day) for day in columns}
    event = connector.get("date_column")
    found = inference.infer(
        rows,
        cutoffs,
        text_is_all=asked.text_is_all,
        outcome=outcome.columns if outcome else (),
        event=event,
        dialect=asked.dialect,
        zone=asked.zone_of(""),
    )
    gaps = _gaps(asked, rows)
    found = replace(found, doubts=doubts, clock=clock, rows_doubts=(*found.rows_doubts, *gaps))
    texts = {path: source.draft(connector, found, owner=project.settings.owner, description=_what(connector))}
    if outcome:
        texts = _halves(path, connector, found, outcome, project.settings.owner)
    _write_sources(texts, rows[~odd], columns, found, include)
    return list(texts), found


OUTCOME = "_outcome"


def _gaps(asked: Source, rows: pd.DataFrame) -> tuple[str, ...]:
    """Return, in words, how many nights between the first and the last have no rows, if all were looked at."""
    there = pd.DatetimeIndex(rows["batch_date"].unique())
    missing = pd.date_range(there.min(), there.max()).difference(there)
    if missing.empty or not look.are_all(asked, rows, collected=False):
        return ()
    told = (
        f"nights: {len(missing)} of {len(missing) + len(there)} have no rows, the first is {missing[0].date()}; to "
        "collect one fails, and features need a batch of each night: have the file say what there was on such days too"
    )
    return (told,)


def _undeclared(name: str, connector: Declared, project: Project) -> Source:
    """Return the source of which nothing but the connector is known yet."""
    placeholder = {"owner": "x", "description": "x", "columns": {"x": {"type": "string"}}, "key": ["x"]}
    content = {**placeholder, "name": name, "connector": connector, "timezone": project.calendar.zone.key}
    spec = build(Source, content, Path(f"source '{name}'"))
    return spec.model_copy(update={"columns": {}, "key": []})


def spelled(
    name: str, connector: Declared, night: str | None, project: Project
) -> tuple[Declared, tuple[str, ...]]:
    """Return the connector with the dialect that its file seems to be in, and what that leaves open."""
    asked = _undeclared(name, connector, project)
    where = connection_of(asked, look.find_connection, project.folder.parent)
    dialect, doubts = look.dialect(
        asked, where, project.calendar, parse_date(night, "--night") if night else None
    )
    return _with_dialect(connector, dialect), doubts


def _with_dialect(connector: Declared, dialect: Dialect) -> Declared:
    """Return the connector with what of the dialect is not as usual."""
    usual = Dialect().model_dump(mode="json")
    said = {key: value for key, value in dialect.model_dump(mode="json").items() if value != usual[key]}
    rest = {key: value for key, value in connector.items() if key != "dialect"}
    return {**rest, "dialect": said} if said else rest


class _Shown(NamedTuple):
    """Rows of some nights and the columns of each, by their clock; ``odd``: those whose hour it does not show once.

    ``doubts``: what the spelling of these rows leaves open.
    """

    asked: Source
    rows: pd.DataFrame
    columns: dict[date, tuple[str, ...]]
    clock: inference.Clock
    odd: pd.Series
    doubts: tuple[str, ...]


def _shown(asked: Source, doubts: tuple[str, ...], night: str | None, project: Project) -> _Shown:
    rows, columns = gathered(_look(asked, night, project))
    delivered = rows.drop(columns="batch_date")
    asked, doubts = _spelled_over_nights(asked, doubts, delivered)
    clock, odd = inference.clock(delivered, asked)
    if clock.timezone is None:
        return _Shown(asked, rows, columns, clock, odd, doubts)
    again = _shown(asked.model_copy(update={"timezone": clock.timezone}), doubts, night, project)
    return again._replace(clock=clock)


def _spelled_over_nights(
    asked: Source, doubts: tuple[str, ...], rows: pd.DataFrame
) -> tuple[Source, tuple[str, ...]]:
    """Return the source with the spelling of the rows of all nights, where each night has files of its own.

    One night may have no fraction, no value missing, and no day of the month beyond the twelfth.
    """
    files = asked.connector
    if not isinstance(files, FilesConnector) or files.format != "csv" or files.is_one_file:
        return asked, doubts
    dialect, doubts = spelled_as(rows, Sniffed(asked.dialect, doubts))
    return asked.model_copy(update={"connector": files.model_copy(update={"dialect": dialect})}), doubts


def _look(asked: Source, night: str | None, project: Project) -> dict[date, pd.DataFrame]:
    where = connection_of(asked, look.find_connection, project.folder.parent)
    return look.look(asked, where, project.calendar, parse_date(night, "--night") if night else None)


def _announced(connector: Declared) -> Declared:
    """Return the connector of rows that are there before their day begins. Raises RequestError: it cannot say that."""
    if connector["kind"] != "files":
        raise RequestError(
            "--outcome: is for files, of which each half reads its columns; of a database or an API draft two sources, "
            "one of what is known beforehand and one of what came of it, each with a query of its own"
        )
    return {**connector, "offset_days": 0}


def _halves(
    path: Path, connector: Declared, found: inference.Inferred, outcome: Outcome, owner: str
) -> dict[Path, str]:
    """Return the two sources that read one file: of what is known beforehand, and of what came of it later."""
    later, event = found.outcome, connector.get("date_column")
    if event and found.columns[event].type == "timestamp" and not found.known_at_by_name:
        # An instant of the day D is over only when D is.
        connector = {**connector, "offset_days": -1}
    key = [*found.keys[0], *([event] if event and event not in found.keys[0] else [])]
    told = "\n".join(f"  {name}: {why}" for name, why in later.items())
    name = path.stem
    before = source.draft(
        connector,
        found.only([column for column in found.columns if column not in later]),
        owner=owner,
        description=f"{_what(connector)} What is known beforehand.",
        of_more=f"Left to source {name}{OUTCOME}, since it becomes known later; edit both if that is wrong:\n{told}"
        + _doubted(found),
    )
    after = source.draft(
        {**connector, "offset_days": connector["offset_days"] - outcome.after},
        replace(found.only([*key, *later]), known_at=[]),
        owner=owner,
        description=f"{_what(connector)} What came of it.",
        of_more=f"The other half of the file of source {name}:\n{told}",
    )
    return {path: before, path.with_stem(f"{name}{OUTCOME}"): after}


def _doubted(found: inference.Inferred) -> str:
    told = "".join(f"\n  {name}: {why}" for name, why in found.telling.items())
    return f"\nIs it known beforehand? If not, name it in --outcome too:{told}" if told else ""


def _write_sources(
    texts: dict[Path, str],
    rows: pd.DataFrame,
    columns: dict[date, tuple[str, ...]],
    found: inference.Inferred,
    include: Path,
) -> None:
    """Write the sources if each accepts the rows that were looked at; else none.

    What is expected follows from those rows: it must only have come through the YAML as it was found. To have Great
    Expectations judge it again takes longer than all else; `nightshift check --deep` does.
    """
    written: list[Path] = []
    try:
        for path, text in texts.items():
            project = _write(path, text, include)
            written.append(path)
            spec = project.source(path.stem)
            for item in spec.expectations:
                if item not in found.expectations:
                    raise SpecError(
                        f"nothing was written; an expectation does not read as it was found: {item}"
                    )
            validate(spec, rows, list(columns), columns=columns, rules=()).require_passed()
    except Exception:
        for path in written:
            path.unlink()
        raise


def new_features(
    name: str, sources: list[str], entity: list[str], *, include: Path = INCLUDE
) -> tuple[Path, dict[str, str]]:
    """Write a feature module from its sources' specs and rows; return the file, and the columns left out with why."""
    project = load_project(include)
    path = _free(include / "features" / f"{name}.py")
    specs = [project.source(each) for each in sources]
    rows = {spec.name: found for spec in specs if (found := _rows(spec, project)) is not None}
    text, left = feature_module.draft(name, specs, owner=project.settings.owner, entity=entity, rows=rows)
    _write(path, text, include)
    return path, left


def _rows(spec: Source, project: Project) -> pd.DataFrame | None:
    """Return rows of a source as they are typed: what is collected of it, else what its upstream shows, if anything."""
    collected = look.collected(spec)
    return collected if collected is not None and len(collected) else _upstream(spec, project)


def _upstream(spec: Source, project: Project) -> pd.DataFrame | None:
    try:
        where = connection_of(spec, look.find_connection, project.folder.parent)
        batches = look.look(spec, where, project.calendar)
    except NightshiftError:
        return None  # the spec alone has to do
    frame, _ = gathered(batches)
    typed = {
        column: coerce(
            plain(frame[column], declared.type, spec.dialect, spec.zone_of(column)),
            declared.type,
            text_is_all=spec.text_is_all,
        )[0]
        for column, declared in spec.columns.items()
        if column in frame.columns
    }
    return (
        pd.DataFrame({"batch_date": frame["batch_date"], **typed})
        if len(typed) == len(spec.columns)
        else None
    )


def new_model(name: str, ask: model.Ask, source_name: str, *, include: Path = INCLUDE) -> Path:
    """Write a model's spec from what its target looks like; return the file.

    Raises:
        RequestError: the column cannot be a target, or the features know it as soon as they know their row.
    """
    project = load_project(include)
    path = _free(include / "models" / f"{name}.yaml")
    feature_set = project.feature_set(ask.features)
    spec = project.source(source_name)
    if ask.column not in spec.columns:
        raise RequestError(
            f"--target: source '{source_name}' has no column '{ask.column}'{did_you_mean(ask.column, spec.columns)}"
        )
    collected = look.collected(spec)
    is_collected = collected is not None and len(collected) > 0
    rows = collected if is_collected else _upstream(spec, project)
    if is_announced_with_its_outcome(feature_set, spec, ask.column):
        raise RequestError(_split(name, ask, spec, rows))
    if ask.column in feature_set.columns and _is_of_hours_gone(feature_set, spec):
        raise RequestError(
            f"--target: feature set '{ask.features}' is about the hours that source '{spec.name}' has, which are over, "
            f"and passes '{ask.column}' of them on. Have the file keep the day and the hour in two columns, and draft "
            "again with the day as --date-column: each night then predicts all hours of its own day"
        )
    seen = _seen(spec, ask.column, rows, collected=is_collected)
    lag = _lag(project, feature_set, spec)
    waits = _waits(project, feature_set, spec, rows)
    if seen and waits is not None:
        seen, lag = replace(seen, matures_after=waits), 0
    _write(path, model.draft(ask, spec, seen, owner=project.settings.owner, lag=lag), include)
    return path


def _is_of_hours_gone(feature_set: FeatureSet, spec: Source) -> bool:
    """Return whether rows of days that are over, told apart by an instant, are all that names the entities."""
    files, kinds = spec.connector, {spec.columns[n].type for n in feature_set.entity if n in spec.columns}
    over = isinstance(files, FilesConnector) and files.offset_days < 0
    return over and set(feature_set.inputs) == {spec.name} and "timestamp" in kinds and "date" not in kinds


def _seen(spec: Source, column: str, rows: pd.DataFrame | None, *, collected: bool) -> look.Seen | None:
    if rows is None:
        return None
    return look.seen_in(spec, column, rows, all_nights=look.are_all(spec, rows, collected=collected))


def _lag(project: Project, feature_set: FeatureSet, target: Source) -> int:
    """Return how many nights after its day an event is announced, where the target's source reads the same files."""
    for each in feature_set.inputs:
        source = project.source(each)
        if each != target.name and is_of_one_file(source, target):
            return max(-getattr(source.connector, "offset_days", 0), 0)
    return 0


def _waits(
    project: Project, feature_set: FeatureSet, target: Source, rows: pd.DataFrame | None
) -> int | None:
    """Return how many nights after it is announced nearly every entity has its outcome, or None: no rows say it.

    The date of a row of outcomes may be the day that they came, which says nothing of the day that they are about.
    Rows of days that are over announce nothing: their night is not the one that predicts them.
    """
    for each in feature_set.inputs:
        source, entity = project.source(each), feature_set.entity
        ahead = isinstance(source.connector, FilesConnector) and source.connector.offset_days >= 0
        if each == target.name or not ahead or not {*entity} <= {*source.columns} & {*target.columns}:
            continue
        waited = look.waited(source, target, entity)
        if waited is not None:
            return max(waited, 0)
        announced = _rows(source, project)
        if rows is None or announced is None:
            return None
        firsts = [_first_nights(frame, entity) for frame in (announced, rows)]
        late = (firsts[1] - firsts[0]).dropna().dt.days
        return max(int(late.quantile(0.99, interpolation="higher")), 0) if len(late) else None
    return None


def _first_nights(rows: pd.DataFrame, entity: Sequence[str]) -> pd.Series:
    """Return the first night of each entity, whose values are compared as text."""
    return rows["batch_date"].groupby([rows[column].astype("str") for column in entity]).min()


def _split(name: str, ask: model.Ask, spec: Source, rows: pd.DataFrame | None) -> str:
    """Return why a model would know its target beforehand, and the commands that draft it in two halves."""
    given = inference.given_away(rows[list(spec.columns)], [ask.column], None) if rows is not None else {}
    connector = spec.connector
    told = "".join(f"\n  {column}: {why}" for column, why in given.items())
    remade = f"--outcome {shlex.quote(','.join([ask.column, *given]))}"
    if isinstance(connector, FilesConnector):
        place = (
            f"--folder {shlex.quote(connector.folder)}"
            if connector.folder
            else f"--connection {connector.connection}"
        )
        dated = f" --date-column {shlex.quote(connector.date_column)}" if connector.date_column else ""
        remade = f"{place} --path {shlex.quote(connector.path)}{dated} {remade}"
    return (
        f"--target: the rows of source '{spec.name}' that feature set '{ask.features}' is about hold '{ask.column}' "
        f"themselves: the model would be told what it is to predict.{told}\nDraft the source in two halves:\n"
        f"  rm include/sources/{spec.name}.yaml include/features/{ask.features}.py\n"
        f"  nightshift new source {spec.name} {remade}\n"
        f"  nightshift new features {ask.features} --source {spec.name} --source {spec.name}{OUTCOME}\n"
        f"  nightshift new model {name} --features {ask.features} "
        f"--target {shlex.quote(f'{spec.name}{OUTCOME}.{ask.column}')}"
    )


def _what(connector: Declared) -> str:
    place = connector.get("folder") or connector.get("connection")
    return {
        "files": f"Rows of {connector.get('path')} below {place}.",
        "sql": f"Rows of a query over the connection {place}.",
        "http": f"Rows of {connector.get('endpoint')} at the connection {place}.",
    }[connector["kind"]]


def _free(path: Path) -> Path:
    if path.exists():
        raise RequestError(
            f"{path} exists already; nothing was written. Choose another name, or edit the file"
        )
    return path


def _write(path: Path, text: str, include: Path) -> Project:
    """Write a new file and return the project with it. A draft that does not load is taken back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    project = load_project(include)
    if path in project.problems:
        path.unlink()
        raise SpecError(f"nothing was written; what was found makes no sound spec: {project.problems[path]}")
    return project
