"""Gates: what a challenger must meet. A gate is a function of its spec and the evidence; the foot names them all.

Champion and challenger are scored now, by the same code, on the same frozen holdout, which is later in time
than anything either was trained on. :func:`judge` refuses to judge on any other. ``ALWAYS`` holds the gates that no
spec can leave out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from nightshift.bootstrap import RESAMPLES
from nightshift.errors import UnfairHoldout
from nightshift.govern.doubt import Doubt
from nightshift.govern.evaluation import INTERVAL, Assessment, Part
from nightshift.govern.refit import Refit
from nightshift.masks import masked
from nightshift.metrics import METRICS, better
from nightshift.records.decisions import GateResult
from nightshift.specs import (
    FEWEST_HOLDOUT_DAYS,
    BeatsChampion,
    Calibrated,
    Gate,
    Latency,
    MinimumScore,
    NoWorseOnSlices,
    Size,
)


@dataclass(frozen=True)
class Candidate:
    """A version: the last day it was trained on, and how many rows of the holdout are among its training rows.

    ``overlap_last``: the last night of the holdout with such a row.
    The challenger is what is judged; the champion is what serves, which may be a refit.
    """

    version: int
    train_last: date
    overlap: int = 0
    overlap_last: date | None = None


@dataclass(frozen=True)
class Trial:
    """What a fresh process made of the artifact: loaded by its hash and the allow-list, asked for its examples.

    ``differing``: predictions that are not bit for bit those stored at training. ``error``: why it could not load.
    """

    examples: int
    differing: int
    milliseconds: float  # a thousand rows
    size: int  # bytes
    error: str | None = None


@dataclass(frozen=True)
class Evidence:
    """Everything a decision rests on. ``trained``, ``live``: a feature's type by name, then and now.

    ``as_of``: of the training. ``doubt``: a score that is too good to be true, if there is one. ``trial``: of the file
    that would serve. If that is a refit, ``refit``: how it stands to what is judged, ``judged_trial``: of the latter.
    """

    as_of: date
    holdout_first: date
    evaluation: Assessment
    challenger: Candidate
    champion: Candidate | None
    trial: Trial
    trained: Mapping[str, str]
    live: Mapping[str, str]
    doubt: Doubt | None = None
    refit: Refit | None = None
    judged_trial: Trial | None = None


Judgement = tuple[bool, str]


def judge(gates: list[Gate], evidence: Evidence) -> list[GateResult]:
    """Return every gate's verdict, those of the spec first; the challenger passes if all did.

    Raises:
        UnfairHoldout: challenger or champion has seen a day, or a row, of the holdout in training.
    """
    for candidate in filter(None, (evidence.challenger, evidence.champion)):
        require_unseen(
            candidate,
            evidence.as_of,
            evidence.holdout_first,
            evidence.evaluation.overall.rows,
            serves=candidate is evidence.champion,
        )
    asked = [
        GateResult(gate.gate, getattr(gate, "metric", None), passed, _as_measured(gate, words, evidence))
        for gate in gates
        for passed, words in [GATES[gate.gate](gate, evidence)]
    ]
    return asked + [GateResult(name, None, *check(evidence)) for name, check in ALWAYS.items()]


def require_later(version: int, until: date, holdout_first: date, fair_from: date) -> None:
    """Raise UnfairHoldout if a version was fitted on days ``until`` or after the holdout's first.

    ``fair_from``: the first night as of which it would be fair.
    """
    if until >= holdout_first:
        raise UnfairHoldout(
            f"version {version} was trained on days up to {until}; the holdout starts on {holdout_first}. "
            f"Train as of {fair_from}, or later"
        )


def require_unseen(
    candidate: Candidate, as_of: date, holdout_first: date, rows: int, *, serves: bool
) -> None:
    """Raise UnfairHoldout if a version was fitted on a day, or on one of the ``rows``, of a training's holdout.

    ``serves``: it is the champion, whose snapshot stays what it is: time alone cures it.
    """
    before = as_of - holdout_first + timedelta(days=1)
    require_later(candidate.version, candidate.train_last, holdout_first, candidate.train_last + before)
    if not candidate.overlap:
        return
    cure = "Its snapshot is not to be trusted: build the features of these nights again, and train again"
    if serves and candidate.overlap_last:
        cure = (
            f"They were of another night then; the last is of {candidate.overlap_last} now. Train as of "
            f"{candidate.overlap_last + before}, or later: the holdout then begins after them"
        )
    raise UnfairHoldout(
        f"version {candidate.version}: {candidate.overlap} of the {rows} rows of the holdout are among the rows it was "
        f"trained on. {cure}"
    )


def _as_measured(gate: Gate, words: str, evidence: Evidence) -> str:
    is_of_scores = not isinstance(gate, Latency | Size)
    return f"{words}; as served, recalibrated" if is_of_scores and evidence.evaluation.recalibrated else words


def minimum_score(gate: MinimumScore, evidence: Evidence) -> Judgement:
    """Pass when the challenger reaches an absolute value; a score that does not exist does not pass.

    Nor does one that the champion misses by as much stand against the challenger: the worse of the two would stay.
    """
    overall = evidence.evaluation.overall
    value, theirs = overall.challenger.get(gate.metric), (overall.champion or {}).get(gate.metric)
    bound = "at least" if METRICS[gate.metric].greater_is_better else "at most"
    passed = _reaches(gate, value)
    within = evidence.evaluation.intervals.get(gate.metric)
    shown = f" ({INTERVAL:.0%} interval {within[0]:,.4f} to {within[1]:,.4f})" if within else ""
    words = f"{gate.metric} {_shown(value)}{shown}, must be {bound} {gate.value:g}"
    if not passed and value is not None and theirs is not None and not _reaches(gate, theirs):
        return better(gate.metric, value, theirs), f"{words}; the champion misses it too: {_shown(theirs)}"
    return passed, words


def _reaches(gate: MinimumScore, value: float | None) -> bool:
    return value is not None and (value == gate.value or better(gate.metric, value, gate.value))


def beats_champion(gate: BeatsChampion, evidence: Evidence) -> Judgement:
    """Pass when the challenger is better than the champion by more than ``value``, and surely enough.

    Surely enough: in at least ``confidence`` of the resamples of the holdout's days.
    """
    if evidence.champion is None:
        return True, "no champion to beat"
    part, days = evidence.evaluation.overall, evidence.evaluation.days
    gain = part.gain(gate.metric)
    if gain is None:
        return False, f"{gate.metric} is undefined on this holdout"
    mine, theirs = part.challenger[gate.metric], (part.champion or {})[gate.metric]
    words = (
        f"{gate.metric} {_shown(mine)} against {_shown(theirs)} of version {evidence.champion.version}"
        f" (margin {gate.value:g})"
    )
    if not gate.confidence:
        return gain > gate.value, words
    if days < FEWEST_HOLDOUT_DAYS:
        return False, f"{words}; {days} days cannot tell how days differ, {FEWEST_HOLDOUT_DAYS} are needed"
    share = part.share(gate.metric, gate.value)
    return (
        gain > gate.value and share >= gate.confidence,
        f"{words}; so in {share:.1%} of {RESAMPLES} resamples of {days} days, {gate.confidence:.0%} asked",
    )


def no_worse_on_slices(gate: NoWorseOnSlices, evidence: Evidence) -> Judgement:
    """Pass unless a slice of enough rows is surely worse than under the champion by more than ``value``."""
    if evidence.champion is None:
        return True, "no champion to compare with"
    large = {n: p for n, p in evidence.evaluation.slices.items() if p.rows >= gate.min_rows}
    judged = {name: part for name, part in large.items() if part.gain(gate.metric) is not None}
    worse = {name: part for name, part in judged.items() if _surely_worse(gate, part)}
    if worse:
        named = "; ".join(_slice_words(gate.metric, name, part) for name, part in list(worse.items())[:5])
        return False, f"{gate.metric} is worse on {len(worse)} of {len(judged)} slices: {named}"
    if not judged:
        undefined = f"{gate.metric} is defined on none of {len(large)} slices"
        why = undefined if large else f"no slice has {gate.min_rows} rows"
        return False, f"{why}: nothing could be compared"
    return True, f"{gate.metric} is not surely worse on any of {len(judged)} slices"


def _surely_worse(gate: NoWorseOnSlices, part: Part) -> bool:
    gain = part.gain(gate.metric)
    if gain is None or gain >= -gate.value:
        return False
    return part.share_of_losses(gate.metric, -gate.value) >= gate.confidence


def _slice_words(metric: str, name: str, part: Part) -> str:
    champion = (part.champion or {}).get(metric)
    return f"{masked(name)} {_shown(part.challenger.get(metric))} against {_shown(champion)}"


def calibrated(gate: Calibrated, evidence: Evidence) -> Judgement:
    """Pass when probabilities mean what they say: the calibration error is at most ``value``, or below a champion's
    that is not.

    Of a refit, on rows that it has seen, only what is surer than came true counts.
    """
    error, theirs = (evidence.evaluation.calibration_error.get(name) for name in ("challenger", "champion"))
    passed = error is not None and error <= gate.value
    words = f"calibration error {_shown(error)}, must be at most {gate.value:g}"
    if error is not None and theirs is not None and min(error, theirs) > gate.value:
        passed, words = error < theirs, f"{words}; the champion misses it too: {_shown(theirs)}"
    surer = evidence.refit.overconfidence if evidence.refit else None
    if passed and surer is not None and surer > gate.value:
        return False, f"{words}; the refit, which would serve, is too sure by {surer:.4f}"
    return passed, words


def latency(gate: Latency, evidence: Evidence) -> Judgement:
    """Pass when a thousand rows are predicted within the budget, in a fresh process."""
    return _of_both(evidence, lambda trial: _fast(gate, trial))


def _fast(gate: Latency, trial: Trial) -> Judgement:
    taken = trial.milliseconds
    passed = trial.error is None and taken <= gate.milliseconds
    return passed, f"{taken:.1f} ms a thousand rows, must be at most {gate.milliseconds:g}"


def size(gate: Size, evidence: Evidence) -> Judgement:
    """Pass when the artifact is no larger than the budget."""
    return _of_both(evidence, lambda trial: _small(gate, trial))


def _small(gate: Size, trial: Trial) -> Judgement:
    megabytes = trial.size / 1e6
    return megabytes <= gate.megabytes, f"{megabytes:.2f} MB, must be at most {gate.megabytes:g}"


def _of_both(evidence: Evidence, judged: Callable[[Trial], Judgement]) -> Judgement:
    """Return the judgement of the file that would serve; if it passes, and another was judged, that one must too."""
    passed, words = judged(evidence.trial)
    if evidence.judged_trial is None:
        return passed, words
    if not passed:
        return False, f"the refit, which would serve: {words}"
    passed, of_judged = judged(evidence.judged_trial)
    return passed, words if passed else f"the fit that is judged: {of_judged}"


def smoke(evidence: Evidence) -> Judgement:
    """Pass when a fresh process loads the artifact and predicts the stored examples identically."""
    return _of_both(evidence, _repeats)


def _repeats(trial: Trial) -> Judgement:
    if trial.error:
        return False, f"a fresh process could not use the artifact: {trial.error}"
    if not trial.examples:
        return False, "no examples were stored with this version"
    if trial.differing:
        return (
            False,
            f"a fresh process predicts {trial.differing} of {trial.examples} stored examples differently",
        )
    return True, f"a fresh process predicts {trial.examples} stored examples identically"


def stable_features(evidence: Evidence) -> Judgement:
    """Pass when the features it was trained on are those that the nights deliver now, by name and type."""
    trained, live = evidence.trained, evidence.live
    differing = sorted(name for name in trained.keys() | live.keys() if trained.get(name) != live.get(name))
    if differing:
        shown = ", ".join(
            f"{n}: trained {trained.get(n, 'without')}, now {live.get(n, 'gone')}" for n in differing[:5]
        )
        return False, f"{len(differing)} features differ: {shown}"
    return True, f"{len(trained)} features as they are served"


def refit(evidence: Evidence) -> Judgement:
    """Pass unless the refit, which would serve, is not what the same recipe makes of more rows."""
    found = evidence.refit
    if found is None:
        return True, "what is judged would serve"
    if found.faults:
        return False, (
            f"the refit to {found.last}, which would serve, is not the model that was judged: "
            f"{'; '.join(found.faults)}. Set random_state, or train.refit: false"
        )
    return True, (
        f"fitted to {found.last}, its predictions are {found.apart:.4g} from those of what was judged, which are "
        f"{found.error:.4g} from the truth (root mean square)"
    )


def credible(evidence: Evidence) -> Judgement:
    """Pass unless a score is too good to be true, and the spec does not say why it is right."""
    doubt = evidence.doubt
    if doubt is None:
        return True, "no score is too good to be true"
    if doubt.expected:
        return True, f"{doubt.words}. Expected: {doubt.expected}"
    ways_out = (
        "What is known only with the target is no feature: take it out of the set; if the score is right, say why in "
        "near_perfect: {reason: ...}"
    )
    return False, f"{doubt.words}. {ways_out}"


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:,.4f}"


GATES: dict[str, Callable[[Any, Evidence], Judgement]] = {
    "minimum_score": minimum_score,
    "beats_champion": beats_champion,
    "no_worse_on_slices": no_worse_on_slices,
    "calibrated": calibrated,
    "latency": latency,
    "size": size,
}
ALWAYS: dict[str, Callable[[Evidence], Judgement]] = {
    "smoke": smoke,
    "stable_features": stable_features,
    "credible": credible,
    "refit": refit,
}
