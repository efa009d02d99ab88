"""Conditions of models: who serves, what is known of how well, what trains, who has to sign."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from nightshift.alerts.facts import Facts, grouped, in_a_row
from nightshift.alerts.levels import Sight
from nightshift.records.alerts import Judged, Numbers, Request, Waiting
from nightshift.records.monitoring import still_holds, still_runs
from nightshift.specs import Model, Project
from nightshift.specs.derived import dag_id

# A new champion that went back is news for so many nights.
NEWS = timedelta(days=7)


def no_champion(facts: Facts, project: Project) -> Iterator[Sight]:
    """A model whose features are there, and that nothing serves."""
    served = {row.model for row in facts.champions}
    for spec in project.models.values():
        table = project.feature_set(spec.features).table
        built = [row.built_at for row in facts.built if row.features == table]
        if spec.name not in served and built:
            title = f"model '{spec.name}' has no champion: no night is scored"
            yield _of(spec, "no_champion", title, min(built), {"nights": len(built)}, "train")


def _of(spec: Model, kind: str, title: str, since: datetime, numbers: Numbers, stage: str) -> Sight:
    dag = dag_id(stage, spec)
    return Sight(kind, f"model:{spec.name}", spec.owner, title, since, (True,), numbers, dag)


def alias_differs(facts: Facts, project: Project) -> Iterator[Sight]:
    """The registry's alias points at another version than the ledger's newest entry."""
    for row in facts.champions:
        spec, aliases = project.models.get(row.model), facts.seen.aliases
        if spec and aliases is not None and row.model in aliases and aliases[row.model] != row.version:
            title = f"model '{row.model}': the registry's alias is not at the ledger's version"
            numbers: Numbers = {"ledger": row.version, "alias": aliases[row.model]}
            yield _of(spec, "alias_differs", title, facts.now, numbers, "score")


def ledger_broken(facts: Facts, project: Project) -> Iterator[Sight]:
    """An entry, a seal or an anchor of the ledger is not what was written."""
    for name in sorted(facts.seen.broken or ()):
        if name in project.models:
            title = f"model '{name}': the ledger does not verify"
            yield _of(project.models[name], "ledger_broken", title, facts.now, {}, "score")


def _evidence(kind: str) -> Callable[[Facts, Project], Iterator[Sight]]:
    """Return the condition of one reason to retrain: its evidence passes its limit."""

    def condition(facts: Facts, project: Project) -> Iterator[Sight]:
        known = grouped((row for row in facts.judged if row.decided_at), "model")
        for name, mine in known.items():
            if spec := project.models.get(name):
                yield _asked(kind, spec, mine)

    return condition


def _asked(kind: str, spec: Model, mine: Sequence[Judged]) -> Sight:
    def asks(row: Judged) -> bool:
        value, limit = getattr(row, kind), getattr(row, f"{kind}_limit")
        return value is not None and limit is not None and value >= limit

    row, nights = mine[0], tuple(map(asks, mine))
    wrong = in_a_row(nights)
    value = getattr(row, kind)
    numbers: Numbers = {
        "night": str(row.batch_date),
        "nights": wrong,
        "evidence": None if value is None else round(value, 2),
        "limit": getattr(row, f"{kind}_limit"),
    }
    title = f"model '{spec.name}', night of {row.batch_date}: evidence of {kind} passes its limit"
    since = mine[max(wrong - 1, 0)].decided_at or row.scored_at
    dag = dag_id("monitor", spec)
    return Sight(kind, f"model:{spec.name}", spec.owner, title, since, nights, numbers, dag)


def _requests(facts: Facts, project: Project) -> Iterator[tuple[Model, list[Request]]]:
    for name, mine in grouped(facts.requests, "model").items():
        if spec := project.models.get(name):
            yield spec, mine


def _is_over(facts: Facts, asked: Request) -> bool:
    """Whether a version was promoted since a night asked: by hand, what became of that training is mended."""
    promoted = _promoted(facts, asked.model)
    return promoted is not None and promoted > asked.requested_at


def _promoted(facts: Facts, model: str) -> datetime | None:
    return next((row.promoted_at for row in facts.champions if row.model == model), None)


def training_failed(facts: Facts, project: Project) -> Iterator[Sight]:
    """The newest training that was asked for failed, or left no word; one that waits for a signature has."""
    unsigned = {spec.name for spec, _ in _unsigned(facts, project)}
    for spec, mine in _requests(facts, project):
        newest = next((row for row in mine if row.status == "started"), None)
        if newest is None or newest.outcome not in ("failed", None) or _is_over(facts, newest):
            continue
        age = facts.now - newest.requested_at
        lost = newest.outcome is None and not still_runs(None, age) and spec.name not in unsigned
        if newest.outcome == "failed" or lost:
            how = "failed" if newest.outcome else "has left no word"
            title = f"model '{spec.name}': the training that the night of {newest.batch_date} asked for {how}"
            numbers: Numbers = {
                "night": str(newest.batch_date),
                "hours": round(age.total_seconds() / 3600, 1),
            }
            yield _of(spec, "training_failed", title, newest.requested_at, numbers, "train")


def training_rejected(facts: Facts, project: Project) -> Iterator[Sight]:
    """So many trainings in a row ended without a promotion."""
    most = project.settings.alerts.rejected_trainings
    for spec, mine in _requests(facts, project):
        ended = [row for row in mine if row.status == "started" and row.outcome not in (None, "failed")]
        lost = in_a_row(row.outcome != "promoted" for row in ended)
        if lost >= most and not _is_over(facts, ended[0]):
            title = f"model '{spec.name}': {lost} trainings in a row were not promoted"
            numbers: Numbers = {"trainings": lost, "newest": str(ended[0].batch_date)}
            yield _of(spec, "training_rejected", title, ended[lost - 1].requested_at, numbers, "train")


def breaker(facts: Facts, project: Project) -> Iterator[Sight]:
    """The breaker held a night back, and has not closed since, nor has a training been started.

    It speaks last: a later night that another guard held as well does not say that it is over.
    """
    tonight = project.calendar.date_of(facts.now)
    for spec, mine in _requests(facts, project):
        held = [row for row in takewhile(_held_back, mine) if row.guard == "breaker"]
        promoted = _promoted(facts, spec.name)
        if held and still_holds(held[0].not_before, held[0].requested_at, promoted, tonight):
            title = f"model '{spec.name}': the breaker holds trainings back"
            numbers: Numbers = {"night": str(held[0].batch_date), "requests": len(held)}
            yield _of(spec, "breaker", title, held[-1].requested_at, numbers, "retrain")


def _held_back(asked: Request) -> bool:
    return asked.status != "started"


def signature_waits(facts: Facts, project: Project) -> Iterator[Sight]:
    """A challenger passed its gates, and nobody has signed."""
    for spec, row in _unsigned(facts, project):
        title = f"model '{row.model}': version {row.version} waits for a signature"
        numbers: Numbers = {
            "version": row.version,
            "hours": round((facts.now - row.decided_at).total_seconds() / 3600, 1),
            "within_hours": spec.approve_within_hours,
        }
        yield _of(spec, "signature_waits", title, row.decided_at, numbers, "train")


def _unsigned(facts: Facts, project: Project) -> Iterator[tuple[Model, Waiting]]:
    """Yield what may be signed yet. Of a training that was lost nothing says so but its time."""
    for row in facts.waiting:
        spec = project.models.get(row.model)
        if spec and facts.now - row.decided_at < timedelta(hours=spec.unsigned_hours):
            yield spec, row


def probation_lost(facts: Facts, project: Project) -> Iterator[Sight]:
    """A new champion is surely worse than the version before, and goes back."""
    for row in facts.probations:
        spec = project.models.get(row.model)
        if spec and row.rolls_back and facts.now - row.judged_at < NEWS:
            title = (
                f"model '{row.model}': version {row.model_version} is worse than {row.before} and goes back"
            )
            numbers: Numbers = {
                "night": str(row.batch_date),
                "version": row.model_version,
                "before": row.before,
                "evidence": round(row.evidence, 2),
            }
            yield _of(spec, "probation_lost", title, row.judged_at, numbers, "rollback")


harm, shift = _evidence("harm"), _evidence("shift")
