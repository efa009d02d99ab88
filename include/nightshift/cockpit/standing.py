"""How a model stands, in a word, with why, since when and what to do next. Pure: the night is given, not asked for.

The states are a list in order of how soon somebody is needed. A model has the one that asks most of people.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from nightshift.records.cockpit import FleetRow
from nightshift.records.monitoring import still_holds, still_runs
from nightshift.specs.derived import dag_id
from nightshift.specs.model import Model

# What a state asks of people: act now, decide, keep an eye on it, wait for what runs, nothing; "quiet": not in service.
Tone = Literal["bad", "act", "watch", "busy", "good", "quiet"]
TONES: tuple[Tone, ...] = ("bad", "act", "watch", "busy", "good", "quiet")
# In the place of a source that the reader may not see: no name is like it, and no page is its.
A_SOURCE = "a source"


@dataclass(frozen=True)
class Step:
    """What to do next. ``to``: a page of Airflow's UI, below its address; ``fill``: what its form is to be given.

    Both are empty for who may not start what the form starts: he reads the words.
    """

    words: str
    to: str
    fill: str = ""


@dataclass(frozen=True)
class State:
    """How a model stands. ``place``: of its tone and state, the one that needs somebody first is 0."""

    word: str
    tone: Tone
    reason: str
    since: date | None
    step: Step | None
    place: int = 0


@dataclass(frozen=True)
class Tonight:
    """The night that is looked at. ``due``: what it was to do should be done by now."""

    night: date
    due: bool


@dataclass(frozen=True)
class Seen:
    """A model by its spec, and what is recorded of it."""

    spec: Model
    row: FleetRow
    tonight: Tonight

    @property
    def late(self) -> bool:
        """Whether the night's predictions are not there, and should be."""
        return self.tonight.due and not self.scored

    @property
    def scored(self) -> bool:
        """Whether the night's predictions are there."""
        return self.row.scored == self.tonight.night

    def dag(self, stage: str) -> str:
        """Return the page of the model's DAG of a stage."""
        return f"dags/{dag_id(stage, self.spec)}"


def stand(spec: Model, row: FleetRow, tonight: Tonight) -> State:
    """Return how a model stands by a night."""
    seen = Seen(spec, row, tonight)
    if idle := no_champion(seen):
        return replace(idle, place=len(STATES))
    holding = [replace(found, place=place) for place, judge in enumerate(STATES) if (found := judge(seen))]
    if not holding:
        return State("well", "good", row.reason or "nothing asks", row.since, None, len(STATES))
    return min(holding, key=lambda state: (TONES.index(state.tone), state.place))


def first_who_needs_somebody(states: Sequence[tuple[str, State]]) -> list[str]:
    """Return names in the order in which they need somebody: by tone, then state, then how long, then name."""
    ordered = sorted(
        states,
        key=lambda each: (TONES.index(each[1].tone), each[1].place, each[1].since or date.max, each[0]),
    )
    return [name for name, _ in ordered]


def offered(step: Step | None, may_start: Callable[[str], bool]) -> Step | None:
    """Return a step as a reader has it: one that is a form is a link for who may start it."""
    if step is None or not step.fill or may_start(step.to.removeprefix("dags/")):
        return step
    return replace(step, to="", fill="")


def no_champion(seen: Seen) -> State | None:
    """Nothing serves: by choice, or because the first training did not pass. One that waits is told as that."""
    if seen.row.version is not None or seen.row.waiting or _runs(seen):
        return None
    why = seen.row.request.reason if seen.row.request else "no version was ever promoted"
    step = Step("train the first champion", seen.dag("train"), f"as_of: {seen.tonight.night}")
    return State("no champion", "quiet", why, None, step)


def refused_source(seen: Seen) -> State | None:
    """A source of tonight was refused: one of features, so there is nothing to score, or one of labels alone."""
    refused = [each for each in seen.row.deliveries if each.status == "failed"]
    if not refused:
        return None
    words = "; ".join(f"{each.source}: {each.why or 'refused'}" for each in refused)
    step = _look_at(refused[0].source)
    return State("source refused", "watch" if seen.scored else "bad", words, seen.tonight.night, step)


def missing_source(seen: Seen) -> State | None:
    """A source of tonight has not come: one of features, or one of labels alone."""
    absent = [each for each in seen.row.deliveries if each.status is None]
    if not (seen.tonight.due and absent):
        return None
    words = "; ".join(f"{each.source}: newest night {each.newest or 'never'}" for each in absent)
    first = absent[0].source
    step = Step(f"collect {first}", f"dags/collect_{first}", f"batch_date: {seen.tonight.night}")
    if first == A_SOURCE:
        step = replace(step, to="", fill="")
    if seen.scored:
        newest = [each.newest for each in absent if each.newest]
        since = min(newest) + timedelta(days=1) if newest else None
        return State("source missing", "watch", words, since, step)
    return State("source missing", "bad", words, _since_missing(seen), step)


def held_by_a_fault(seen: Seen) -> State | None:
    """The features of a night are faulty: of the one that is due, which it holds, or of one before."""
    if not seen.row.faults:
        return None
    due = [fault for fault in seen.row.faults if fault.batch_date == seen.tonight.night]
    held = bool(due) and seen.late and seen.spec.drift.faults == "hold"
    shown = due if held else seen.row.faults
    fault = shown[0]
    words = "; ".join(f"{each.column_name or 'batch'}: {each.words}" for each in shown)
    step = (
        _look_at(fault.sources[0]) if fault.sources else Step("look at the night", "plugin/nightshift/data")
    )
    return State(
        "held by a fault" if held else "faulty", "bad" if held else "watch", words, fault.batch_date, step
    )


def not_scored(seen: Seen) -> State | None:
    """All sources are there, and the night is not scored."""
    if not seen.late:
        return None
    if seen.row.built == seen.tonight.night:
        step = Step("score the night", seen.dag("score"), f"batch_date: {seen.tonight.night}")
        return State("not scored", "bad", "its features are built", _since_missing(seen), step)
    built = f"features_{seen.spec.features}"
    step = Step("build the features", f"dags/{built}", f"batch_date: {seen.tonight.night}")
    why = f"its features are not built; newest night {seen.row.built or 'never'}"
    return State("not built", "bad", why, _since_missing(seen), step)


def not_judged(seen: Seen) -> State | None:
    """The night is scored, and nobody said what it came to: what is known of the model is of an earlier night."""
    night = seen.tonight.night
    if not (seen.tonight.due and seen.scored) or seen.row.judged == night:
        return None
    why = f"its predictions are there, and no verdict; newest {seen.row.judged or 'never'}"
    step = Step("judge the night", seen.dag("monitor"), f"batch_date: {night}")
    since = seen.row.judged + timedelta(days=1) if seen.row.judged else None
    return State("not judged", "bad", why, since, step)


def waits_for_a_signature(seen: Seen) -> State | None:
    """A challenger passed its gates, and somebody must sign."""
    waiting = seen.row.waiting
    if waiting is None:
        return None
    who = " or ".join(seen.spec.approvers) or "whoever may"
    to = f"{seen.dag('train')}/runs/{waiting.training_id}/required_actions"
    words = f"version {waiting.challenger} passed its gates; {who} signs"
    return State("waits for a signature", "act", words, waiting.decided_on, Step("read and sign", to))


def gave_up(seen: Seen) -> State | None:
    """Trainings failed their gates one after another: none is started, until it closes or one by hand is promoted."""
    request = seen.row.breaker
    if request is None or not still_holds(
        request.not_before, request.requested_at, seen.row.promoted_at, seen.tonight.night
    ):
        return None
    step = Step("train by hand, or roll back", seen.dag("train"), f"as_of: {seen.tonight.night}")
    return State("gave up training", "act", request.reason, request.batch_date, step)


def loses_probation(seen: Seen) -> State | None:
    """The new champion is worse than the one before."""
    trial = seen.row.trial
    if trial is None or not trial.rolls_back:
        return None
    step = Step(f"roll back to version {trial.before}", seen.dag("rollback"), f"version: {trial.before}")
    return State("lost its probation", "act", trial.reason, trial.since, step)


def harmed(seen: Seen) -> State | None:
    """Its losses grew, by labels."""
    harm = seen.row.harm
    if harm is None or harm.evidence < harm.alarm:
        return None
    return State("harm", "act", _with_the_answer(seen, harm.words), seen.row.judged, _to_the_request(seen))


def trains(seen: Seen) -> State | None:
    """A training runs."""
    request = seen.row.request
    if not _runs(seen) or request is None:
        return None
    to = f"{seen.dag('train')}/runs/{request.training_id}"
    return State("trains", "busy", request.reason, request.batch_date, Step("watch the training", to))


def asks_and_is_held(seen: Seen) -> State | None:
    """The newest night asks for retraining, and nothing came of it yet."""
    if not seen.row.retrain:
        return None
    return State(
        "asks for retraining", "watch", _with_the_answer(seen, seen.row.reason or ""), seen.row.judged,
        _to_the_request(seen),
    )  # fmt: skip


def degraded(seen: Seen) -> State | None:
    """Its metric is worse than at the gate."""
    found = seen.row.performance
    if found is None or found.status != "degraded":
        return None
    return State("degraded", "watch", found.reason, seen.row.judged, _to_the_request(seen))


def misses_nights(seen: Seen) -> State | None:
    """Nights before this one have no predictions."""
    before = [night for night in seen.row.missing if night != str(seen.tonight.night)]
    if not before:
        return None
    step = Step("score them", seen.dag("score"), f"batch_date: {before[0]}, until: {before[-1]}")
    some = ", ".join(before[:3]) + (f" and {len(before) - 3} more" if len(before) > 3 else "")
    return State("misses nights", "watch", some, date.fromisoformat(before[0]), step)


def on_probation(seen: Seen) -> State | None:
    """It is new, and watched."""
    row, trial, nights = seen.row, seen.row.trial, seen.spec.retrain.probation_nights
    young = row.since and row.since + timedelta(days=nights) > seen.tonight.night
    if not (trial and young):
        return None
    return State("on probation", "watch", trial.reason, trial.since, None)


def waits(seen: Seen) -> State | None:
    """Its night has not come yet."""
    if seen.scored:
        return None
    return State(
        "waits for its night", "busy", f"newest night scored: {seen.row.scored or 'none'}", None, None
    )


def _look_at(source: str) -> Step:
    return Step(f"look at {source}", "" if source == A_SOURCE else f"plugin/nightshift/data?q={source}")


def _runs(seen: Seen) -> bool:
    request = seen.row.request
    if request is None or request.status != "started":
        return False
    return still_runs(request.outcome, timedelta(hours=request.hours))


def _since_missing(seen: Seen) -> date | None:
    """Return the first of the nights missing up to tonight without a gap; of what was never scored, when it began."""
    return seen.row.scored + timedelta(days=1) if seen.row.scored else seen.row.since


def _with_the_answer(seen: Seen, words: str) -> str:
    request = seen.row.request
    if request is None or request.batch_date != seen.row.judged or request.guard is None:
        return words
    return f"{words}; held by {request.guard}: {request.reason}"


def _to_the_request(seen: Seen) -> Step:
    return Step("see why, and what was tried", f"plugin/nightshift/models/{seen.spec.name}#decisions")


# Who needs somebody first. Of several that hold the one that asks most of people is told, then the first.
STATES: tuple[Callable[[Seen], State | None], ...] = (
    refused_source,
    missing_source,
    held_by_a_fault,
    not_scored,
    not_judged,
    waits_for_a_signature,
    gave_up,
    loses_probation,
    harmed,
    trains,
    asks_and_is_held,
    degraded,
    misses_nights,
    on_probation,
    waits,
)
