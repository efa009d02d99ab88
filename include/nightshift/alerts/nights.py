"""Conditions of the night's work: what is missing by the agreed hour, refused, or at fault."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta

from nightshift.alerts.facts import Facts, began, deadline, due_night, grouped, in_a_row, of_night
from nightshift.alerts.levels import Sight
from nightshift.records.alerts import Batch, Built, Numbers
from nightshift.specs import FeatureSet, Model, Project, Source
from nightshift.specs.derived import dag_id

MOST_COLUMNS = 5


def night_missing(facts: Facts, project: Project) -> Iterator[Sight]:
    """What is not there by the agreed hour, also when nothing ran at all."""
    night = due_night(project, facts.now)
    if night is None or all(_is_new(facts, project, spec.name, night) for spec in project.sources.values()):
        return
    nights = {row.batch_date for rows in (facts.batches, facts.built, facts.judged) for row in rows}
    if night not in nights:
        last = max(nights, default=None)
        title = f"nothing ran: no source, feature set or model has anything of the night of {night}"
        yield _missing(project, "project", project.settings.owner, title, night, last, None)
        return
    yield from _sources_missing(facts, project, night)
    yield from _sets_missing(facts, project, night)
    yield from _models_missing(facts, project, night)


def _missing(
    project: Project, subject: str, owner: str, title: str, night: date, last: date | None, dag: str | None
) -> Sight:
    first = last + timedelta(days=1) if last and last < night else night
    numbers: Numbers = {
        "night": str(night),
        "nights": (night - first).days + 1,
        "newest": str(last) if last else None,
    }
    return Sight("night_missing", subject, owner, title, deadline(project, first), (True,), numbers, dag)


def _sources_missing(facts: Facts, project: Project, night: date) -> Iterator[Sight]:
    batches = grouped(facts.batches, "source")
    for spec in project.sources.values():
        mine = batches.get(spec.name, [])
        # A batch that was refused is there.
        if of_night(mine, night) is None and not _is_new(facts, project, spec.name, night):
            last = max((row.batch_date for row in mine), default=None)
            title = f"source '{spec.name}' has no batch of the night of {night}"
            dag = dag_id("collect", spec)
            yield _missing(project, f"source:{spec.name}", spec.owner, title, night, last, dag)


def _sets_missing(facts: Facts, project: Project, night: date) -> Iterator[Sight]:
    built = grouped(facts.built, "features")
    for spec in project.feature_sets.values():
        mine = built.get(spec.table, [])
        ready = _ready(facts, spec)
        # Built of what was all there, it was refused: told by its own kind.
        if of_night(mine, night) is None and not (
            (ready and ready[0] == night) or _is_new(facts, project, spec.table, night)
        ):
            last = max((row.batch_date for row in mine), default=None)
            title = f"feature set '{spec.name}' has not built the night of {night}"
            dag = dag_id("features", spec)
            yield _missing(project, f"features:{spec.table}", spec.owner, title, night, last, dag)


def _is_new(facts: Facts, project: Project, name: str, night: date) -> bool:
    """Whether a source or set (by its table) was added since the night began: its first night is the next one.

    What was collected or built of the past by hand since then makes it no older, nor an older one new.
    """
    of_source = [row.recorded_at for row in facts.batches if row.source == name]
    of_set = [row.built_at for row in facts.built if row.features == name]
    known = [facts.declared[name]] if name in facts.declared else []
    since = min([*of_source, *of_set, *known], default=None)
    return since is not None and since > began(project, night)


def _models_missing(facts: Facts, project: Project, night: date) -> Iterator[Sight]:
    since = {row.model: row.effective_from for row in facts.champions}
    judged = grouped(facts.judged, "model")
    for spec in project.models.values():
        mine = judged.get(spec.name, [])
        if spec.name not in since or (since[spec.name] > night and not mine):
            continue
        row = of_night(mine, night)
        if row is None or row.decided_at is None:
            what, stage = ("scored", "score") if row is None else ("judged", "monitor")
            last = max((each.batch_date for each in mine if each.decided_at), default=None)
            title = f"model '{spec.name}' has not {what} the night of {night}"
            yield _missing(project, f"model:{spec.name}", spec.owner, title, night, last, dag_id(stage, spec))


def _ready(facts: Facts, spec: FeatureSet) -> tuple[date, datetime] | None:
    """Return the newest night that all sources of a set have announced, and since when."""
    told = {
        name: {row.batch_date: row.decided_at for row in facts.announced if row.asset == f"raw.{name}"}
        for name in spec.inputs
    }
    common = set.intersection(*(set(nights) for nights in told.values())) if told else set()
    if not common:
        return None
    night = max(common)
    return night, max(nights[night] for nights in told.values())


def features_refused(facts: Facts, project: Project) -> Iterator[Sight]:
    """All sources of a set have announced a night, and it is not built."""
    within = timedelta(minutes=project.settings.alerts.build_within_minutes)
    for spec in project.feature_sets.values():
        ready = _ready(facts, spec)
        mine = [row for row in facts.built if row.features == spec.table]
        if ready is None or of_night(mine, ready[0]) is not None or facts.now - ready[1] < within:
            continue
        if _is_new(facts, project, spec.table, ready[0]):
            continue  # it was not there to be woken
        night, since = ready
        minutes = int((facts.now - since).total_seconds() // 60)
        title = f"feature set '{spec.name}' is not built of the night of {night}, whose sources are all there"
        numbers: Numbers = {"night": str(night), "minutes": minutes, "sources": len(spec.inputs)}
        yield Sight(
            "features_refused",
            f"features:{spec.table}",
            spec.owner,
            title,
            since,
            (True,),
            numbers,
            dag_id("features", spec),
        )


def _cause(row: Batch, spec: Source) -> str | None:
    """Return the kind of what is wrong with a batch, or None."""
    if row.status == "published":
        return None
    if row.stale:
        return "source_stale"
    over = row.rejected > min(spec.budget.rows, spec.budget.share * row.collected)
    return "source_over_budget" if over else "source_refused"


TITLES = {
    "source_refused": "the batch was refused",
    "source_over_budget": "more rows were set aside than the budget allows",
    "source_stale": "the newest event is older than freshness allows",
}


def _batches(kind: str) -> Callable[[Facts, Project], Iterator[Sight]]:
    """Return the condition of one kind of refusal."""

    def condition(facts: Facts, project: Project) -> Iterator[Sight]:
        for name, mine in grouped(facts.batches, "source").items():
            if spec := project.sources.get(name):
                yield _refused(kind, spec, mine)

    return condition


def _refused(kind: str, spec: Source, mine: Sequence[Batch]) -> Sight:
    nights = tuple(_cause(row, spec) == kind for row in mine)
    row = mine[0]
    share = round(row.rejected / row.collected, 4) if row.collected else None
    numbers: Numbers = {
        "night": str(row.batch_date),
        "nights": in_a_row(nights),
        "collected": row.collected,
        "set_aside": row.rejected,
        "share": share,
    }
    title = f"source '{spec.name}', night of {row.batch_date}: {TITLES[kind]}"
    since = mine[max(in_a_row(nights) - 1, 0)].recorded_at
    return Sight(
        kind, f"source:{spec.name}", spec.owner, title, since, nights, numbers, dag_id("collect", spec)
    )


def fault(facts: Facts, project: Project) -> Iterator[Sight]:
    """A fault is open in a set's newest nights."""
    for spec in project.feature_sets.values():
        mine = [row for row in facts.built if row.features == spec.table]
        if mine:
            yield _fault(spec, mine)


def _fault(spec: FeatureSet, mine: Sequence[Built]) -> Sight:
    nights = tuple(row.found_at is not None for row in mine)
    row = mine[0]
    columns = ", ".join(name or "the whole batch" for name in row.faulty[:MOST_COLUMNS])
    title = (
        f"feature set '{spec.name}', night of {row.batch_date}: a fault is open in {columns or 'no column'}"
    )
    numbers: Numbers = {"night": str(row.batch_date), "nights": in_a_row(nights), "columns": len(row.faulty)}
    since = mine[max(in_a_row(nights) - 1, 0)].found_at or row.built_at
    subject = f"features:{spec.table}"
    return Sight("fault", subject, spec.owner, title, since, nights, numbers, dag_id("features", spec))


def upstream(project: Project) -> dict[str, frozenset[str]]:
    """Return what each source, set and model stands on, near and far: all of them on the project's night."""
    night = frozenset({"project"})
    sources = {f"source:{name}": night for name in project.sources}
    sets = {
        f"features:{spec.table}": night | {f"source:{name}" for name in spec.inputs}
        for spec in project.feature_sets.values()
    }
    models = {f"model:{spec.name}": _below(spec, project, sets) for spec in project.models.values()}
    return sources | sets | models


def _below(spec: Model, project: Project, sets: dict[str, frozenset[str]]) -> frozenset[str]:
    own = f"features:{project.feature_set(spec.features).table}"
    # A model that is scored in spite of faults does not miss its night for one.
    return sets[own] | {own, *({f"fault/{own}"} if spec.drift.faults == "hold" else ())}


source_refused = _batches("source_refused")
source_over_budget = _batches("source_over_budget")
source_stale = _batches("source_stale")
