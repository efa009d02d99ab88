"""The gates: a fair holdout or none, and no challenger without a reason in numbers."""

from datetime import date

import pytest

from nightshift.errors import UnfairHoldout
from nightshift.govern.gates import GATES, Candidate, Evidence, judge
from nightshift.metrics import METRICS
from nightshift.specs import Gate

HOLDOUT = date(2013, 2, 15)
BEFORE = date(2013, 2, 14)


def evidence(
    mine: dict[str, float | None],
    theirs: dict[str, float | None] | None = None,
    *,
    trained_to: date = BEFORE,
    champion_trained_to: date = BEFORE,
) -> Evidence:
    champion = None if theirs is None else Candidate(1, champion_trained_to, theirs)
    return Evidence(HOLDOUT, 1000, Candidate(2, trained_to, mine), champion)


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
    gate = Gate(gate="minimum_score", metric=metric, value=limit)
    (result,) = judge([gate], evidence({metric: value}))
    assert result.passed is passed
    assert f"{limit:g}" in result.words
    assert ("undefined" if value is None else f"{value:.4f}") in result.words


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
    gate = Gate(gate="beats_champion", metric=metric, value=margin)
    (result,) = judge([gate], evidence({metric: mine}, {metric: theirs}))
    assert result.passed is passed


def test_the_first_model_has_no_champion_to_beat() -> None:
    (result,) = judge([Gate(gate="beats_champion", metric="log_loss")], evidence({"log_loss": 0.7}))
    assert result.passed
    assert result.words == "no champion to beat"


def test_a_missing_metric_does_not_pass() -> None:
    gates = [Gate(gate="minimum_score", metric="brier"), Gate(gate="beats_champion", metric="brier")]
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
        Gate(gate="minimum_score", metric="roc_auc", value=0.9),
        Gate(gate="beats_champion", metric="roc_auc"),
    ]
    results = judge(gates, evidence({"roc_auc": 0.8}, {"roc_auc": 0.7}))
    assert [(result.gate, result.passed) for result in results] == [
        ("minimum_score", False),
        ("beats_champion", True),
    ]
    assert all(set(result.to_dict()) == {"gate", "metric", "passed", "words"} for result in results)


def test_every_gate_works_with_every_metric() -> None:
    for name in GATES:
        for metric in METRICS:
            (result,) = judge([Gate(gate=name, metric=metric)], evidence({metric: 1.0}, {metric: 1.0}))
            assert result.metric == metric
