"""What the cockpit's pages show: answers made of recorded rows and of the specs. One statement a page; nothing writes.

``may_see`` says of a DAG whether the reader may know of it. What is forbidden is as if it were not there.
``may_start``: whether he may start it; a form is offered to who may.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from nightshift import kept
from nightshift.calendar import Calendar
from nightshift.cockpit.histograms import Histogram, histograms
from nightshift.cockpit.standing import (
    A_SOURCE,
    State,
    Step,
    Tonight,
    first_who_needs_somebody,
    offered,
    stand,
)
from nightshift.database import Reads
from nightshift.masks import masked, outlined
from nightshift.records import cockpit as records
from nightshift.records.monitoring import still_runs
from nightshift.specs import BeatsChampion, Model, Project
from nightshift.specs.derived import dag_id

TREND_NIGHTS = 60
SHOWN_NIGHTS = 365
HEAT_NIGHTS = 120
DATA_NIGHTS = 60
# How long after its beginning a night may take.
NIGHT_TAKES = timedelta(hours=6)
SILENCE = "silence_alert"
# How a fault's words name the sources that it may come from.
FROM = re.compile(r"\(from (\w+(?: or \w+)*)\)")
MaySee = Callable[[str], bool]
MayStart = Callable[[str], bool]
NodeKind = Literal["source", "features", "model"]


@dataclass(frozen=True)
class Link:
    """A page below Airflow's address, or a DAG's form and what to fill in."""

    words: str
    to: str
    fill: str = ""


@dataclass(frozen=True)
class Standing:
    """A model with all that is recorded of it. ``age``: nights since the last one its champion was fitted on.

    ``set_aside``: rows of its sources on the night; ``behind``: nights of its oldest source, None if one never came.
    """

    state: State
    owner: str
    description: str
    task: str
    metric: str | None
    row: records.FleetRow
    age: int | None
    set_aside: int
    behind: int | None


@dataclass(frozen=True)
class FleetModel:
    """A line of the fleet: of a ``Standing`` what is shown. Numbers have seven digits, those of ``trend`` five.

    ``verdict``: of the night ``scored``, None if it is not judged; ``never``: sources of which no night was published;
    ``value`` to ``baseline``: the newest window's metric with its 90 % interval, and what it was at the gate;
    ``harm`` and ``shift``: evidence; ``feature``: the one nearest to its limit; ``alerts``: how many are open that
    follow from no other; ``waits``: these and what else waits, in words.
    """

    model: str
    owner: str
    state: State
    version: int | None
    since: date | None
    age: int | None
    scored: date | None
    verdict: str | None
    rows: int | None
    set_aside: int
    missing: tuple[str, ...]
    never: tuple[str, ...]
    behind: int | None
    metric: str | None
    value: float | None
    low: float | None
    high: float | None
    baseline: float | None
    harm: float | None
    harm_limit: float | None
    shift: float | None
    shift_limit: float | None
    feature: str | None
    psi: float | None
    psi_limit: float | None
    faults: int
    trend: tuple[float | None, ...]
    retrained: tuple[str, ...]
    labelled: int | None
    expected: int | None
    alerts: int
    waits: tuple[str, ...]


@dataclass(frozen=True)
class Fleet:
    """All models that the reader may see, the one that needs somebody first. ``trend_first``: where trends begin.

    ``broken``: specs that do not load, for who may see the DAG ``alerts``: of what they declare nothing is here.
    """

    night: date
    due: bool
    trend_first: date
    models: tuple[FleetModel, ...]
    broken: int


@dataclass(frozen=True)
class Node:
    """A source, a feature set or a model in the lineage; ``reads``: keys of what it stands on."""

    key: str
    kind: NodeKind
    name: str
    to: str
    reads: tuple[str, ...]


@dataclass(frozen=True)
class SliceShown:
    """A slice of the holdout: both by ``metric``, and between what the challenger's gain lies. ``champion``: if any."""

    name: str
    metric: str
    rows: int
    challenger: float | None
    champion: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ModelPage:
    """A model: how it stands, its nights, who decided what and why, its features, what it stands on, what to do.

    ``silences``: of each open alert, by fingerprint, the form that silences it.
    """

    night: date
    model: Standing
    nights: tuple[records.TimelineNight, ...]
    ledger: tuple[records.LedgerEntry, ...]
    decisions: tuple[records.DecisionMade, ...]
    requests: tuple[records.RequestMade, ...]
    faults: tuple[records.OpenFault, ...]
    heat_nights: tuple[date, ...]
    features: tuple[records.FeatureNow, ...]
    counted_on: date | None
    histograms: tuple[Histogram, ...]
    slices: tuple[SliceShown, ...]
    lineage: tuple[Node, ...]
    links: tuple[Link, ...]
    actions: tuple[Link, ...]
    silences: dict[str, Link]


@dataclass(frozen=True)
class NightStep:
    """What a night came to at one place, in the order of the stages. ``dag``: the DAG that does it."""

    kind: str
    name: str
    status: str
    tone: str
    rows: int | None
    set_aside: int | None
    why: str
    at: datetime | None
    request: str
    dag: str
    step: Step | None
    docs: str | None


@dataclass(frozen=True)
class NightPage:
    """A night over all that the reader may see. ``broken``: as of :class:`Fleet`."""

    night: date
    due: bool
    steps: tuple[NightStep, ...]
    broken: int


@dataclass(frozen=True)
class Dataset:
    """A source or feature set over the last nights. ``behind``: nights since its newest."""

    kind: str
    name: str
    owner: str
    description: str
    row: records.DataRow
    behind: int | None
    read_by: tuple[str, ...]
    fixes: tuple[str, ...]
    links: tuple[Link, ...]


@dataclass(frozen=True)
class DataPage:
    """The sources and feature sets that the reader may see. ``first``: the night of each history's first number.

    ``broken``: as of :class:`Fleet`.
    """

    night: date
    first: date
    datasets: tuple[Dataset, ...]
    lineage: tuple[Node, ...]
    broken: int


def tonight(
    calendar: Calendar, begins: time, instant: datetime, newest: Callable[[], date | None]
) -> Tonight:
    """Return the night that is looked at, at an instant: the newest that has begun. ``begins``: when, by the clock.

    A project whose last night has passed replays the past: its night is the ``newest`` that anything is recorded of.
    """
    night = calendar.date_of(instant)
    if calendar.last_night and night > calendar.last_night:
        return Tonight(newest() or calendar.first_night, due=True)
    begun = datetime.combine(night, begins, calendar.zone)
    if instant < begun:
        night -= timedelta(days=1)
        begun = datetime.combine(night, begins, calendar.zone)
    return Tonight(night, due=instant - begun.astimezone(UTC) > NIGHT_TAKES)


def fleet(reads: Reads, project: Project, looked_at: Tonight, *, may_see: MaySee) -> Fleet:
    """Return all models, the one that needs somebody first."""
    specs = {name: spec for name, spec in project.models.items() if may_see(f"score_{name}")}
    found = _standing(reads, project, specs, looked_at, may_see)
    order = first_who_needs_somebody([(name, each.state) for name, each in found.items()])
    models = tuple(_line(found[name], looked_at.night) for name in order)
    return Fleet(
        looked_at.night, looked_at.due, _trend_first(looked_at.night), models, _broken(project, may_see)
    )


def _broken(project: Project, may_see: MaySee) -> int:
    return len(project.problems) if may_see("alerts") else 0


def fleet_for(page: Fleet, may_start: MayStart) -> Fleet:
    """Return the fleet as somebody has it who may start these: made of one that is asked for once for all."""
    models = tuple(replace(each, state=_offered(each.state, may_start)) for each in page.models)
    return replace(page, models=models)


def _offered(state: State, may_start: MayStart) -> State:
    return replace(state, step=offered(state.step, may_start))


def model_page(
    reads: Reads, project: Project, looked_at: Tonight, *, name: str, may_see: MaySee, may_start: MayStart
) -> ModelPage | None:
    """Return a model; None: there is none of that name, or it is not the reader's to see."""
    spec = project.models.get(name)
    if spec is None or not may_see(f"score_{name}"):
        return None
    night, of_set = looked_at.night, project.feature_set(spec.features)
    standing = _standing(reads, project, {name: spec}, looked_at, may_see)[name]
    row = reads.one(
        records.MODEL,
        model=name,
        feature_set=of_set.set,
        feature_version=of_set.version,
        night=night,
        first=night - timedelta(days=SHOWN_NIGHTS - 1),
        heat=HEAT_NIGHTS,
    )
    if row is None:  # a statement without a FROM always has a row
        return None
    return ModelPage(
        night=night,
        model=replace(standing, state=_offered(standing.state, may_start)),
        nights=tuple(replace(each, reason=masked(each.reason or "")) for each in row.nights),
        ledger=row.ledger,
        decisions=tuple(map(_decision, row.decisions)),
        requests=tuple(_request(each, standing.row, may_see) for each in row.requests),
        faults=_faults(row.faults, may_see),
        heat_nights=tuple(map(date.fromisoformat, row.heat_nights)),
        features=row.features,
        counted_on=row.counted.night if row.counted else None,
        histograms=histograms(row.profile or (), row.counted.counted if row.counted else None),
        slices=_slices(spec, row.slices),
        lineage=graph(project, may_see),
        links=_links(standing, name, may_see),
        actions=_actions(standing, name, night, may_start),
        silences=_silences(standing, may_start),
    )


def _decision(made: records.DecisionMade) -> records.DecisionMade:
    gates = tuple(replace(each, words=masked(each.words)) for each in made.gates)
    return replace(made, reason=masked(made.reason), gates=gates)


def _request(made: records.RequestMade, row: records.FleetRow, may_see: MaySee) -> records.RequestMade:
    answers = tuple(replace(each, words=_told_to(each.words, may_see)) for each in made.answers)
    waits = row.waiting is not None and row.waiting.training_id == made.training_id
    return replace(
        made,
        reason=_told_to(made.reason, may_see),
        answers=answers,
        came_of_it=_came_of(made, waits=waits) if made.status == "started" else "",
    )


def _came_of(asked: records.RequestMade | records.Asking, *, waits: bool) -> str:
    """Return how a training that was started ended, or what it does: one that was lost is not told as running."""
    if asked.outcome or waits:
        return asked.outcome or "waits for a signature"
    return "runs" if still_runs(None, timedelta(hours=asked.hours)) else "left no word"


def _slices(spec: Model, found: records.SlicesOf | None) -> tuple[SliceShown, ...]:
    """Return the newest challenger's slices, by the metric that it must beat the champion by."""
    metric = next((str(gate.metric) for gate in spec.gates if isinstance(gate, BeatsChampion)), None)
    if found is None or metric is None:
        return ()
    shown = []
    for name, each in found.slices.items():
        low, high = each.gains.get(metric) or (None, None)
        champion = (each.champion or {}).get(metric)
        mine = each.challenger.get(metric)
        shown.append(SliceShown(masked(name), metric, each.rows, mine, champion, low, high))
    return tuple(shown)


def night_page(reads: Reads, project: Project, looked_at: Tonight, *, may_see: MaySee) -> NightPage:
    """Return what a night came to, in the order of the stages."""
    declared = [each for each in _stages(project) if may_see(each[2])]
    rows = reads.all(records.NIGHT, declared=_told(declared), night=looked_at.night)
    steps = tuple(
        _step(row, dag, looked_at, may_see) for row, (_, _, dag) in zip(rows, declared, strict=True)
    )
    return NightPage(looked_at.night, looked_at.due, steps, _broken(project, may_see))


def night_for(page: NightPage, may_start: MayStart) -> NightPage:
    """Return a night as somebody has it who may start these, as :func:`fleet_for`."""
    steps = tuple(replace(each, step=offered(each.step, may_start)) for each in page.steps)
    return replace(page, steps=steps)


def data_page(
    reads: Reads, project: Project, looked_at: Tonight, *, may_see: MaySee, may_start: MayStart
) -> DataPage:
    """Return the sources and feature sets over the last nights, with what waits in quarantine."""
    declared = [each for each in _stages(project) if each[0] != "model" and may_see(each[2])]
    first = looked_at.night - timedelta(days=DATA_NIGHTS - 1)
    rows = reads.all(records.DATA, declared=_told(declared), night=looked_at.night, first=first)
    sets = (
        _dataset(project, row, dag, looked_at.night, may_see, may_start)
        for row, (_, _, dag) in zip(rows, declared, strict=True)
    )
    return DataPage(looked_at.night, first, tuple(sets), graph(project, may_see), _broken(project, may_see))


def lineage(project: Project, model: str, may_see: MaySee) -> tuple[Node, ...]:
    """Return what a model stands on: sources, its features, itself. Of what the reader may not see there is nothing."""
    spec = project.models[model]
    of_set = project.feature_set(spec.features)
    nodes = [
        Node(f"source.{name}", "source", name, f"dags/collect_{name}", ())
        for name in project.sources_of(model)
        if may_see(f"collect_{name}")
    ]
    there = {node.key for node in nodes}
    if may_see(f"features_{spec.features}"):
        reads = tuple(key for name in of_set.inputs if (key := f"source.{name}") in there)
        key = f"features.{of_set.table}"
        nodes.append(Node(key, "features", of_set.table, f"dags/features_{spec.features}", reads))
    truth = [f"source.{spec.target.source}"] if spec.target else []
    mine = tuple(node.key for node in nodes if node.kind == "features" or node.key in truth)
    return (*nodes, Node(f"model.{model}", "model", model, f"dags/score_{model}", mine))


def graph(project: Project, may_see: MaySee) -> tuple[Node, ...]:
    """Return all that the reader may see, from sources to models, with what each stands on."""
    found = {node.key: node for node in _data_nodes(project, may_see)}
    for name in project.models:
        if may_see(f"score_{name}"):
            found |= {node.key: node for node in lineage(project, name, may_see)}
    return tuple(found.values())


def _data_nodes(project: Project, may_see: MaySee) -> Iterable[Node]:
    shown = [each for each in _stages(project) if each[0] != "model" and may_see(each[2])]
    there = {f"{kind}.{name}" for kind, name, _ in shown}
    inputs = {f"features.{spec.table}": spec.inputs for spec in project.feature_sets.values()}
    for kind, name, dag in shown:
        wanted = [f"source.{source}" for source in inputs.get(f"{kind}.{name}", ())]
        reads = tuple(key for key in wanted if key in there)
        yield Node(f"{kind}.{name}", kind, name, f"dags/{dag}", reads)


def _standing(
    reads: Reads, project: Project, specs: Mapping[str, Model], looked_at: Tonight, may_see: MaySee
) -> dict[str, Standing]:
    rows = reads.all(
        records.FLEET,
        declared=json.dumps([_declared(project, name) for name in specs]),
        night=looked_at.night,
        first=_trend_first(looked_at.night),
        zone=project.settings.timezone,
    )
    return {row.model: _of_row(specs[row.model], _as_seen(row, may_see), looked_at) for row in rows}


def _as_seen(row: records.FleetRow, may_see: MaySee) -> records.FleetRow:
    """Return a row with what the reader may know of its sources: of one that is not his neither its name nor why."""
    seen = [
        replace(each, why=masked(each.why or "")) for each in row.deliveries if _his(each.source, may_see)
    ]
    others = [
        replace(each, source=A_SOURCE, why=None) for each in row.deliveries if not _his(each.source, may_see)
    ]
    return replace(
        row,
        deliveries=(*seen, *others),
        faults=_faults(row.faults, may_see),
        request=_asking(row.request, may_see),
        breaker=_asking(row.breaker, may_see),
    )


def _asking(asked: records.Asking | None, may_see: MaySee) -> records.Asking | None:
    return asked and replace(asked, reason=_told_to(asked.reason, may_see))


def _told_to(text: str, may_see: MaySee) -> str:
    """Return words on a fault as a reader may read them: no value, and no name of a source that is not his."""

    def known(found: re.Match[str]) -> str:
        names = _known(found[1].split(" or "), may_see)
        return f"(from {' or '.join(names)})"

    return masked(FROM.sub(known, text))


def _faults(faults: Iterable[records.OpenFault], may_see: MaySee) -> tuple[records.OpenFault, ...]:
    return tuple(
        replace(each, words=masked(each.words), sources=_known(each.sources, may_see)) for each in faults
    )


def _known(sources: Sequence[str], may_see: MaySee) -> tuple[str, ...]:
    seen = tuple(name for name in sources if _his(name, may_see))
    return seen if len(seen) == len(sources) else (*seen, A_SOURCE)


def _his(source: str, may_see: MaySee) -> bool:
    return may_see(f"collect_{source}")


def _declared(project: Project, model: str) -> dict[str, object]:
    spec = project.models[model]
    of_set = project.feature_set(spec.features)
    return {
        "model": model,
        "feature_set": of_set.set,
        "feature_version": of_set.version,
        "sources": project.sources_of(model),
        "unsigned_hours": spec.unsigned_hours,
    }


def _trend_first(night: date) -> date:
    return night - timedelta(days=TREND_NIGHTS - 1)


def _of_row(spec: Model, row: records.FleetRow, looked_at: Tonight) -> Standing:
    state = stand(spec, row, looked_at)
    newest = [each.newest for each in row.deliveries if each.newest]
    return Standing(
        state=replace(state, reason=masked(state.reason)),
        owner=spec.owner,
        description=spec.description,
        task=spec.task,
        metric=row.performance.metric if row.performance else None,
        row=row,
        age=(looked_at.night - row.trained_until).days if row.trained_until else None,
        set_aside=sum(each.rejected or 0 for each in row.deliveries),
        behind=(looked_at.night - min(newest)).days if len(newest) == len(row.deliveries) else None,
    )


def _line(standing: Standing, night: date) -> FleetModel:
    """Return what the fleet shows of a model: a fifth of its rows' bytes, which are asked for every half minute."""
    row = standing.row
    measured, harm, shift, top = row.performance, row.harm, row.shift, row.top
    return FleetModel(
        model=row.model,
        owner=standing.owner,
        state=standing.state,
        version=row.version,
        since=row.since,
        age=standing.age,
        scored=row.scored,
        verdict=row.status if row.judged == row.scored else None,
        rows=row.rows,
        set_aside=standing.set_aside,
        missing=tuple(row.missing),
        never=tuple(dict.fromkeys(each.source for each in row.deliveries if each.newest is None)),
        behind=standing.behind,
        metric=standing.metric,
        value=_digits(measured.value if measured else None),
        low=_digits(measured.low if measured else None),
        high=_digits(measured.high if measured else None),
        baseline=_digits(measured.baseline if measured else None),
        harm=_digits(harm.evidence if harm else None),
        harm_limit=_digits(_limit(row, "harm", harm.alarm) if harm else None),
        shift=_digits(shift.evidence if shift else None),
        shift_limit=_digits(_limit(row, "shift", shift.alarm) if shift else None),
        feature=top.name if top else None,
        psi=_digits(top.psi if top else None),
        psi_limit=_digits(top.limit if top else None),
        faults=len(row.faults),
        trend=tuple(_digits(value, 5) for value in row.trend),
        retrained=tuple(row.retrained),
        labelled=row.labelled,
        expected=row.expected,
        alerts=sum(not alert.muted for alert in row.alerts),
        waits=tuple(_waits(row, night)),
    )


def _limit(row: records.FleetRow, reason: str, usual: float) -> float:
    """Return the limit at which a reason asked that night, as its spec was then; of one that was off, the usual one."""
    return next((each.limit for each in row.said or () if each.name == reason and each.limit), usual)


def _digits(value: float | None, digits: int = 7) -> float | None:
    return None if value is None else float(f"{value:.{digits}g}")


def _waits(row: records.FleetRow, night: date) -> Iterable[str]:
    """Yield what is open about a model: a signature, a probation, the newest request, alerts of its own."""
    if row.waiting:
        yield f"version {row.waiting.challenger} waits for a signature"
    if row.trial:
        yield f"probation: evidence {row.trial.evidence:.1f}"
    asked = row.request
    if asked and asked.status == "suppressed" and (asked.not_before is None or asked.not_before > night):
        yield f"held by {asked.guard}, {asked.batch_date}"
    if asked and asked.status == "started":
        waits = row.waiting is not None and row.waiting.training_id == asked.training_id
        yield f"training of {asked.batch_date}: {_came_of(asked, waits=waits)}"
    yield from (f"{alert.severity}: {alert.title}" for alert in row.alerts if not alert.muted)


def _links(standing: Standing, name: str, may_see: MaySee) -> tuple[Link, ...]:
    row, found = standing.row, []
    if row.version and may_see(f"train_{name}"):
        card = kept.card(name, row.version)
        found.append(Link(f"card of version {row.version}", f"nightshift/files/{card}"))
    if row.report_key and may_see(f"monitor_{name}"):
        found.append(Link(f"drift report of {row.judged}", f"nightshift/files/{row.report_key}"))
    if may_see("catalog"):
        found.append(Link("catalog", f"nightshift/files/{kept.CATALOG}#model.{name}"))
    stages = ("score", "monitor", "retrain", "train", "replay_policies")
    found += [
        Link(f"{stage}_{name}", f"dags/{stage}_{name}") for stage in stages if may_see(f"{stage}_{name}")
    ]
    return tuple(found)


def _silences(standing: Standing, may_start: MayStart) -> dict[str, Link]:
    keys = [alert.fingerprint for alert in standing.row.alerts]
    links = {key: silence(key, may_start) for key in keys}
    return {key: link for key, link in links.items() if link}


def silence(fingerprint: str, may_start: MayStart) -> Link | None:
    """Return the form that silences an alert, and what to fill in; None: it is not the reader's to start."""
    kind, _, subject = fingerprint.partition("/")
    form = Link("silence", f"dags/{SILENCE}", f"kind: {kind}, subject: {subject}")
    return form if may_start(SILENCE) else None


def _actions(standing: Standing, name: str, night: date, may_start: MayStart) -> tuple[Link, ...]:
    """Return the native forms that change something and that the reader may start: Airflow shows them to everybody."""
    trial = standing.row.trial
    missing = standing.row.missing
    forms = [
        ("train", "Retrain", f"as_of: {night}"),
        ("score", "Score a range", f"batch_date: {missing[0]}, until: {missing[-1]}" if missing else ""),
        ("rollback", "Roll back", f"version: {trial.before}" if trial else ""),
        ("replay_policies", "Replay policies", f"last: {night}"),
    ]
    return tuple(
        Link(words, f"dags/{stage}_{name}", fill)
        for stage, words, fill in forms
        if may_start(f"{stage}_{name}")
    )


def _stages(project: Project) -> list[tuple[NodeKind, str, str]]:
    """Return (kind, name, DAG) of all that a night does, in the order of the stages."""
    return [
        *(("source", spec.name, dag_id("collect", spec)) for spec in project.sources.values()),
        *(("features", spec.table, dag_id("features", spec)) for spec in project.feature_sets.values()),
        *(("model", spec.name, dag_id("score", spec)) for spec in project.models.values()),
    ]


def _told(stages: Sequence[tuple[str, str, str]]) -> str:
    return json.dumps([{"kind": kind, "name": name, "place": n} for n, (kind, name, _) in enumerate(stages)])


# How a status of catalog.nights reads; what is not here is to be watched.
_TONES = {
    **dict.fromkeys(("published", "built", "scored", "ok"), "good"),
    **dict.fromkeys(("failed", "missing"), "bad"),
    "waits": "busy",
    "not in service": "quiet",
    "breached": "act",
}


def _step(row: records.NightStep, dag: str, looked_at: Tonight, may_see: MaySee) -> NightStep:
    absent = "missing" if looked_at.due else "waits"
    status = row.status or (absent if row.in_use else "not in service")
    if status == "scored" and looked_at.due:
        status = "not judged"
    request = " ".join(filter(None, [row.request, row.guard and f"by {row.guard}:", row.request_reason]))
    return NightStep(
        kind=row.kind,
        name=row.name,
        status=status,
        tone=_TONES.get(status, "watch"),
        rows=row.row_count,
        set_aside=row.rejected,
        why=masked(row.why or ""),
        at=row.recorded_at,
        request=_told_to(request, may_see),
        dag=dag,
        step=_next(row, status, dag, looked_at.night),
        docs=f"nightshift/files/{row.docs_key}" if row.docs_key else None,
    )


def _next(row: records.NightStep, status: str, dag: str, night: date) -> Step | None:
    if status == "missing":
        return Step("run the night", f"dags/{dag}", f"batch_date: {night}")
    if status == "failed":
        return Step("see which rows, and mend or discard them", f"plugin/nightshift/data?q={row.name}")
    if status == "not judged":
        return Step("judge the night", f"dags/monitor_{row.name}", f"batch_date: {night}")
    if status == "breached":
        return Step("see why, and what was tried", f"plugin/nightshift/models/{row.name}#decisions")
    return None


def _dataset(
    project: Project, row: records.DataRow, dag: str, night: date, may_see: MaySee, may_start: MayStart
) -> Dataset:
    source = project.sources.get(row.name) if row.kind == "source" else None
    spec = source or next(each for each in project.feature_sets.values() if each.table == row.name)
    return Dataset(
        kind=row.kind,
        name=row.name,
        owner=spec.owner,
        description=spec.description,
        row=replace(row, why=masked(row.why or ""), open=tuple(map(_outlined, row.open))),
        behind=(night - row.newest).days if row.newest else None,
        read_by=tuple(_readers(project, row, may_see)),
        fixes=tuple(source.fixes) if source else (),
        links=_data_links(row, dag, may_start),
    )


def _outlined(aside: records.SetAside) -> records.SetAside:
    shapes = dict.fromkeys(outlined(sample) for sample in aside.samples if sample is not None)
    return replace(aside, samples=tuple(shapes))


def _readers(project: Project, row: records.DataRow, may_see: MaySee) -> Iterable[str]:
    for name, spec in project.models.items():
        reads = (
            project.sources_of(name) if row.kind == "source" else [project.feature_set(spec.features).table]
        )
        if row.name in reads and may_see(f"score_{name}"):
            yield name


def _data_links(row: records.DataRow, dag: str, may_start: MayStart) -> tuple[Link, ...]:
    found = [Link(dag, f"dags/{dag}")]
    if row.kind == "source":
        oldest = f"batch_date: {row.open[0].newest}" if row.open else ""
        forms = [(f"replay_quarantine_{row.name}", oldest), (f"explore_source_{row.name}", "")]
        found += [Link(name, f"dags/{name}", fill) for name, fill in forms if may_start(name)]
    return tuple(found)
