"""The gates: a fair holdout or none, and no challenger without a reason in numbers."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from nightshift.errors import UnfairHoldout
from nightshift.govern.evaluation import Assessment, Part, evaluate
from nightshift.govern.gates import ALWAYS, GATES, Candidate, Evidence, Trial
from nightshift.govern.gates import judge as judge_all
from nightshift.govern.refit import Refit
from nightshift.masks import masked
from nightshift.metrics import METRICS
from nightshift.records.decisions import GateResult
from nightshift.specs import (
    BeatsChampion,
    Calibrated,
    Gate,
    Latency,
    MinimumScore,
    NoWorseOnSlices,
    Size,
)
from nightshift.specs.model import SCORES

HOLDOUT = date(2013, 2, 15)
BEFORE = date(2013, 2, 14)
SOUND = Trial(examples=50, differing=0, milliseconds=8.0, size=200_000)
SCHEMA = {"distance": "float", "carrier": "string"}


def part(
    mine: dict[str, float | None],
    theirs: dict[str, float | None] | None = None,
    *,
    rows: int = 1000,
    better: float = 1.0,
) -> Part:
    """Return a part of the holdout; in the share ``better`` of resamples the gain is what the metrics say."""
    found = Part(rows, mine, theirs)
    gains = {
        name: np.where(np.arange(100) < 100 * better, gain, -1.0)
        for name in mine
        if (gain := found.gain(name)) is not None
    }
    return replace(found, gains=gains)


def evidence(
    mine: dict[str, float | None],
    theirs: dict[str, float | None] | None = None,
    *,
    trained_to: date = BEFORE,
    champion_trained_to: date = BEFORE,
    better: float = 1.0,
    days: int = 14,
    **more: Any,
) -> Evidence:
    overall = part(mine, theirs, better=better)
    evaluation = Assessment(days, overall, more.pop("slices", {}), {}, more.pop("calibration", {}))
    champion = None if theirs is None else Candidate(1, champion_trained_to, more.pop("champion_overlap", 0))
    given = {"trial": SOUND, "trained": SCHEMA, "live": SCHEMA, **more}
    as_of = HOLDOUT + timedelta(days=15)
    return Evidence(
        as_of, HOLDOUT, evaluation, Candidate(2, trained_to, given.pop("overlap", 0)), champion, **given
    )


def judge(gates: list[Gate], given: Evidence) -> list[GateResult]:
    """Return the verdicts of the gates of the spec, without those that always judge."""
    return judge_all(gates, given)[: len(gates)]


@pytest.mark.parametrize(
    ("metric", "limit", "value", "passed"),
    [
        ("roc_auc", 0.6, 0.61, True),
        ("roc_auc", 0.6, 0.6, True),
        ("roc_auc", 0.6, 0.59, False),
        ("roc_auc", 0.6, None, False),
        ("log_loss", 0.5, 0.49, True),
        ("log_loss", 0.5, 0.5, True),
        ("log_loss", 0.5, 0.51, False),
        ("mae", 10.0, 11.0, False),
        ("r2", 0.1, -3.0, False),
    ],
)
def test_a_minimum_is_met_or_not(metric: str, limit: float, value: float | None, passed: bool) -> None:
    gate = MinimumScore(metric=metric, value=limit)
    (result,) = judge([gate], evidence({metric: value}))
    assert result.passed is passed
    assert f"{limit:g}" in result.words
    assert ("undefined" if value is None else f"{value:.4f}") in result.words


@pytest.mark.parametrize(
    ("mine", "theirs", "passed"),
    [
        (0.58, 0.55, True),  # both miss 0.6: the better one may serve
        (0.55, 0.58, False),
        (0.58, 0.58, False),
        (0.58, 0.61, False),
        (0.58, None, False),
    ],
)
def test_a_minimum_that_the_champion_misses_too_does_not_keep_the_worse_one(
    mine: float, theirs: float | None, passed: bool
) -> None:
    (result,) = judge(
        [MinimumScore(metric="roc_auc", value=0.6)], evidence({"roc_auc": mine}, {"roc_auc": theirs})
    )
    assert result.passed is passed
    assert ("the champion misses it too" in result.words) is (theirs is not None and theirs < 0.6)


@pytest.mark.parametrize(
    ("mine", "theirs", "passed"),
    [(0.12, 0.15, True), (0.15, 0.12, False), (0.12, 0.05, False), (0.12, None, False)],
)
def test_a_calibration_that_the_champion_misses_too(mine: float, theirs: float | None, passed: bool) -> None:
    given = evidence({}, {}, calibration={"challenger": mine, "champion": theirs})
    (result,) = judge([Calibrated(value=0.1)], given)
    assert result.passed is passed
    assert ("the champion misses it too" in result.words) is (theirs is not None and theirs > 0.1)


@pytest.mark.parametrize(
    ("metric", "mine", "theirs", "margin", "passed"),
    [
        ("log_loss", 0.50, 0.51, 0.0, True),
        ("log_loss", 0.51, 0.50, 0.0, False),
        ("log_loss", 0.50, 0.50, 0.0, False),  # as good is no reason to change
        ("log_loss", 0.50, 0.52, 0.03, False),
        ("log_loss", 0.50, 0.54, 0.03, True),
        ("roc_auc", 0.71, 0.70, 0.0, True),
        ("roc_auc", 0.70, 0.71, 0.0, False),
        ("roc_auc", 0.71, 0.70, 0.02, False),
        ("roc_auc", 0.73, 0.70, 0.02, True),
        ("roc_auc", None, 0.70, 0.0, False),
        ("roc_auc", 0.70, None, 0.0, False),
    ],
)
def test_a_challenger_must_be_better_than_the_champion(
    metric: str, mine: float | None, theirs: float | None, margin: float, passed: bool
) -> None:
    gate = BeatsChampion(metric=metric, value=margin)
    (result,) = judge([gate], evidence({metric: mine}, {metric: theirs}))
    assert result.passed is passed


def test_the_first_model_has_no_champion_to_beat() -> None:
    (result,) = judge([BeatsChampion(metric="log_loss")], evidence({"log_loss": 0.7}))
    assert result.passed
    assert result.words == "no champion to beat"


def test_a_missing_metric_does_not_pass() -> None:
    gates = [MinimumScore(metric="brier", value=0.2), BeatsChampion(metric="brier")]
    assert [result.passed for result in judge(gates, evidence({}, {}))] == [False, False]


@pytest.mark.parametrize(
    ("days", "who"),
    [
        ({"trained_to": HOLDOUT}, "version 2"),
        ({"trained_to": date(2013, 3, 1)}, "version 2"),
        ({"champion_trained_to": HOLDOUT}, "version 1"),
        ({"champion_trained_to": date(2013, 3, 1)}, "version 1"),
    ],
)
def test_a_holdout_that_either_has_seen_is_no_judge(days: dict[str, date], who: str) -> None:
    with pytest.raises(
        UnfairHoldout, match=f"{who} was trained on days up to .*; the holdout starts on {HOLDOUT}"
    ):
        judge([], evidence({}, {}, **days))


def test_every_gate_speaks_also_when_the_first_has_failed() -> None:
    gates = [
        MinimumScore(metric="brier", value=0.1),
        BeatsChampion(metric="roc_auc"),
    ]
    results = judge(gates, evidence({"roc_auc": 0.8, "brier": 0.2}, {"roc_auc": 0.7, "brier": 0.09}))
    assert [(result.gate, result.passed) for result in results] == [
        ("minimum_score", False),
        ("beats_champion", True),
    ]


@pytest.mark.parametrize(
    ("better", "confidence", "passed"),
    [(0.95, 0.9, True), (0.9, 0.9, True), (0.89, 0.9, False), (0.2, 0.0, True)],
)
def test_a_gain_must_hold_in_enough_resamples(better: float, confidence: float, passed: bool) -> None:
    gate = BeatsChampion(metric="log_loss", confidence=confidence)
    (result,) = judge([gate], evidence({"log_loss": 0.5}, {"log_loss": 0.6}, better=better))
    assert result.passed is passed
    assert ("resamples of 14 days" in result.words) is (confidence > 0)


def test_a_handful_of_days_cannot_make_sure() -> None:
    given = evidence({"log_loss": 0.5}, {"log_loss": 0.6}, days=4)
    (result,) = judge([BeatsChampion(metric="log_loss")], given)
    assert not result.passed
    assert "4 days cannot tell how days differ, 5 are needed" in result.words


def sliced(**gains: tuple[float, float, int]) -> dict[str, Part]:
    """Return slices by name: the challenger's gain in log loss, in which share of resamples, rows."""
    return {
        name: part({"log_loss": 0.5 - gain}, {"log_loss": 0.5}, rows=rows, better=share)
        for name, (gain, share, rows) in gains.items()
    }


@pytest.mark.parametrize(
    ("gain", "share", "rows", "passed"),
    [
        (0.1, 1.0, 500, True),
        (-0.1, 1.0, 500, False),
        (-0.01, 1.0, 500, True),  # within the tolerance
        (-0.1, 1.0, 199, True),  # too few rows to say
    ],
)
def test_a_slice_that_is_surely_worse_fails_the_gate(
    gain: float, share: float, rows: int, passed: bool
) -> None:
    gate = NoWorseOnSlices(metric="log_loss", value=0.02)
    slices = sliced(JFK=(gain, share, rows), LGA=(0.05, 1.0, 900))
    (result,) = judge([gate], evidence({"log_loss": 0.5}, {"log_loss": 0.6}, slices=slices))
    assert result.passed is passed
    assert ("JFK 0.6000 against 0.5000" in result.words) is not passed


def test_a_slice_that_may_be_worse_or_not_passes() -> None:
    unsure = Part(
        500, {"log_loss": 0.6}, {"log_loss": 0.5}, {"log_loss": np.where(np.arange(100) < 40, 0.1, -0.2)}
    )
    gate = NoWorseOnSlices(metric="log_loss")
    (result,) = judge([gate], evidence({"log_loss": 0.5}, {"log_loss": 0.6}, slices={"JFK": unsure}))
    assert result.passed


@pytest.mark.parametrize(("days", "passed"), [(1, True), (3, False), (14, False)])
def test_a_slice_of_one_day_is_not_surely_worse(days: int, passed: bool) -> None:
    """Every third resample has none of its rows, and in these it is no worse."""
    night = np.repeat(np.arange(14), 100)
    there = night < days
    label = np.arange(night.size) % 2.0
    good = np.where(label == 1, 0.8, 0.2)
    holdout = pd.DataFrame(
        {"batch_date": pd.Timestamp(HOLDOUT) + pd.to_timedelta(night, "D"), "label": label}
    )
    holdout["there"] = np.where(there, "yes", "no")
    found = evaluate("classification", holdout, np.where(there, 0.5, good), good, slices=["there"])
    (result,) = judge(
        [NoWorseOnSlices(metric="log_loss")],
        evidence({"log_loss": 0.5}, {"log_loss": 0.6}, slices=found.slices),
    )
    assert result.passed is passed, result.words


@pytest.mark.parametrize("elsewhere", [0.0, np.nan])
def test_a_resample_in_which_a_slice_is_as_good_or_not_there_does_not_say_that_it_is_worse(
    elsewhere: float,
) -> None:
    gains = np.where(np.arange(100) < 80, -0.2, elsewhere)
    slices = {"JFK": Part(500, {"roc_auc": 0.6}, {"roc_auc": 0.7}, {"roc_auc": gains})}
    (result,) = judge(
        [NoWorseOnSlices(metric="roc_auc")], evidence({"roc_auc": 0.8}, {"roc_auc": 0.7}, slices=slices)
    )
    assert result.passed


def test_a_slice_that_is_named_by_an_address_is_told_without_it() -> None:
    slices = sliced(**{"to=jane@example.org": (-1.0, 0.0, 900)})
    (result,) = judge(
        [NoWorseOnSlices(metric="log_loss")], evidence({"log_loss": 0.5}, {"log_loss": 0.6}, slices=slices)
    )
    assert not result.passed
    assert "[address]" in result.words
    assert "jane" not in result.words


def test_a_metric_of_millions_is_told_wherever_long_numbers_are_struck_out() -> None:
    (result,) = judge([MinimumScore(metric="mae", value=2e6)], evidence({"mae": 1234567.891}))
    assert "mae 1,234,567.8910" in masked(result.words)


def test_slices_that_are_all_too_small_pass_nothing() -> None:
    given = evidence({"log_loss": 0.5}, {"log_loss": 0.6}, slices=sliced(JFK=(0.1, 1.0, 20)))
    (result,) = judge([NoWorseOnSlices(metric="log_loss")], given)
    assert not result.passed
    assert "nothing could be compared" in result.words


def test_slices_on_which_the_metric_is_undefined_pass_nothing() -> None:
    undefined = {name: Part(900, {"roc_auc": None}, {"roc_auc": None}) for name in ("JFK", "LGA")}
    (result,) = judge(
        [NoWorseOnSlices(metric="roc_auc")], evidence({"roc_auc": 0.8}, {"roc_auc": 0.7}, slices=undefined)
    )
    assert not result.passed
    assert "roc_auc is defined on none of 2 slices: nothing could be compared" in result.words


@pytest.mark.parametrize(("error", "passed"), [(0.02, True), (0.05, True), (0.06, False), (None, False)])
def test_probabilities_must_mean_what_they_say(error: float | None, passed: bool) -> None:
    (result,) = judge([Calibrated(value=0.05)], evidence({}, calibration={"challenger": error}))
    assert result.passed is passed


@pytest.mark.parametrize(
    ("gate", "passed"),
    [
        (Latency(milliseconds=8), True),
        (Latency(milliseconds=7.9), False),
        (Size(megabytes=0.2), True),
        (Size(megabytes=0.1), False),
    ],
)
def test_a_budget_is_kept_or_not(gate: Gate, passed: bool) -> None:
    (result,) = judge([gate], evidence({}))
    assert result.passed is passed


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        (replace(SOUND, differing=1), "predicts 1 of 50 stored examples differently"),
        (replace(SOUND, examples=0), "no examples were stored"),
        (
            replace(SOUND, error="ArtifactRefused: a type"),
            "could not use the artifact: ArtifactRefused: a type",
        ),
    ],
)
def test_an_artifact_that_works_only_where_it_was_made_fails_whatever_the_spec_says(
    trial: Trial, words: str
) -> None:
    failed = [result for result in judge_all([], evidence({}, trial=trial)) if not result.passed]
    assert [result.gate for result in failed] == ["smoke"]
    assert words in failed[0].words


@pytest.mark.parametrize(
    ("live", "words"),
    [
        ({"distance": "float"}, "carrier: trained string, now gone"),
        ({**SCHEMA, "origin": "string"}, "origin: trained without, now string"),
        ({**SCHEMA, "distance": "integer"}, "distance: trained float, now integer"),
    ],
)
def test_features_that_the_nights_do_not_deliver_as_trained_fail(live: dict[str, str], words: str) -> None:
    failed = [result for result in judge_all([], evidence({}, live=live)) if not result.passed]
    assert [result.gate for result in failed] == ["stable_features"]
    assert words in failed[0].words


@pytest.mark.parametrize("who", ["overlap", "champion_overlap"])
def test_a_row_of_the_holdout_that_was_trained_on_ends_the_judging(who: str) -> None:
    with pytest.raises(
        UnfairHoldout, match="1 of the 1000 rows of the holdout are among the rows it was trained on"
    ):
        judge([], evidence({}, {}, **{who: 1}))


def test_of_rows_that_a_champion_saw_on_another_night_it_is_said_when_they_are_past() -> None:
    """An event that a correction moved is in its snapshot for good: building again mends nothing."""
    given = evidence({}, {})
    champion = Candidate(1, BEFORE, 1, HOLDOUT + timedelta(days=3))
    fair = given.as_of + timedelta(days=4)
    with pytest.raises(
        UnfairHoldout, match=f"the last is of {champion.overlap_last} now. Train as of {fair}, or later"
    ):
        judge([], replace(given, champion=champion))


def test_the_spec_knows_which_way_each_metric_is_better() -> None:
    assert {name: worst < best for name, (worst, best) in SCORES.items()} == {
        name: metric.greater_is_better for name, metric in METRICS.items()
    }


def test_the_table_and_the_spec_know_the_same_gates() -> None:
    schema = TypeAdapter(Gate).json_schema()
    assert {one["properties"]["gate"]["const"] for one in schema["$defs"].values()} == set(GATES)
    assert not set(GATES) & set(ALWAYS)


@pytest.mark.parametrize("kind", [MinimumScore, BeatsChampion, NoWorseOnSlices])
def test_every_gate_of_a_metric_works_with_every_metric(kind: Callable[..., Any]) -> None:
    for metric in METRICS:
        (result,) = judge([kind(metric=metric, value=0.5)], evidence({metric: 1.0}, {metric: 1.0}))
        assert result.metric == metric


# The refit, which would serve


def refitted(**given: Any) -> dict[str, Any]:
    """Return the parts of evidence of a refit that is sound, but for ``given``."""
    found = Refit(
        last=date(2013, 2, 28),
        metric="log_loss",
        part=part({"log_loss": 0.48}, {"log_loss": 0.5}),
        margin=0.006,
        apart=0.02,
        error=0.4,
        bias=-0.01,
        unit=0.4,
        overconfidence=0.01,
    )
    return {"refit": replace(found, **given), "judged_trial": SOUND}


def test_what_is_judged_and_what_would_serve_must_both_pass() -> None:
    gates: list[Gate] = [Latency(milliseconds=10), Size(megabytes=0.5)]
    slow, large = replace(SOUND, milliseconds=11.0), replace(SOUND, size=600_000)
    sound = refitted()
    assert all(result.passed for result in judge_all(gates, evidence({}, **sound)))
    for trial, gate, words in (
        (slow, "latency", "11.0 ms a thousand rows"),
        (large, "size", "0.60 MB"),
        (
            replace(SOUND, differing=2),
            "smoke",
            "a fresh process predicts 2 of 50 stored examples differently",
        ),
        (replace(SOUND, error="ImportError: gone"), "smoke", "could not use the artifact: ImportError: gone"),
    ):
        served = {result.gate: result for result in judge_all(gates, evidence({}, **sound, trial=trial))}
        judged = {
            result.gate: result
            for result in judge_all(gates, evidence({}, **{**sound, "judged_trial": trial}))
        }
        assert not served[gate].passed
        assert not judged[gate].passed
        assert served[gate].words.startswith("the refit, which would serve: ")
        assert judged[gate].words.startswith("the fit that is judged: ")
        assert words in served[gate].words
        assert words in judged[gate].words


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"part": part({"log_loss": 0.6}, {"log_loss": 0.5})},
            "log_loss 0.6000 on the holdout, which it has seen",
        ),
        (
            {"apart": 0.5},
            "its predictions are 0.5 from those of what was judged, which are 0.4 from the truth",
        ),
        ({"bias": 0.06}, "misses the mean outcome by 0.06 standard deviations more"),
        ({"part": part({"log_loss": None}, {"log_loss": None})}, "log_loss is undefined"),
    ],
)
def test_a_refit_that_is_another_model_does_not_pass(given: dict[str, Any], words: str) -> None:
    (failed,) = [r for r in judge_all([], evidence({}, **refitted(**given))) if not r.passed]
    assert failed.gate == "refit"
    assert "the refit to 2013-02-28, which would serve, is not the model that was judged" in failed.words
    assert words in failed.words


def test_a_refit_that_is_worse_on_few_resamples_only_passes() -> None:
    lucky = part({"log_loss": 0.52}, {"log_loss": 0.5})
    lucky = replace(lucky, gains={"log_loss": np.where(np.arange(100) < 85, -0.02, 0.1)})
    assert all(result.passed for result in judge_all([], evidence({}, **refitted(part=lucky))))


def test_a_refit_that_is_too_sure_is_not_calibrated() -> None:
    gate = Calibrated(value=0.05)
    calibration = {"challenger": 0.01}
    (said,) = judge([gate], evidence({}, calibration=calibration, **refitted(overconfidence=0.06)))
    assert (said.passed, "the refit, which would serve, is too sure by 0.0600" in said.words) == (False, True)
    assert judge([gate], evidence({}, calibration=calibration, **refitted()))[0].passed


def test_an_unfair_holdout_tells_from_when_on_there_is_a_fair_one() -> None:
    """Two nights to mature and fourteen to judge on: sixteen after the last night that was seen."""
    with pytest.raises(UnfairHoldout, match=r"Train as of 2013-03-21, or later"):
        judge([], evidence({}, {}, champion_trained_to=date(2013, 3, 5)))
