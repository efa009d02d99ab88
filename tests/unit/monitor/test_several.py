"""Several models: false asks are rare among all, however these depend; one model is as it was alone."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightshift.monitor.several import passing, who_asks
from nightshift.records.monitoring import Reason, Reasons, Watched

NIGHT = date(2013, 7, 10)
LIMIT = 365.0
EVIDENCE = st.floats(0, 20)


def watched(
    model: str, evidence: float | None, night: date = NIGHT, reason: str = "shift", is_new: bool = True
) -> Watched:
    asks = evidence is not None and evidence >= LIMIT
    said = Reason(reason, asks, evidence, LIMIT, f"evidence {evidence}")
    return Watched(model=model, batch_date=night, reasons=Reasons((said,)), is_new=is_new)


@given(EVIDENCE)
def test_one_model_asks_by_its_own_limit(value: float) -> None:
    assert bool(passing({"one": value})) == (value >= 1)


@pytest.mark.parametrize(
    ("evidence", "ask"),
    [
        ({"a": 2.9, "b": 0.0, "c": 0.5}, ""),
        ({"a": 3.0, "b": 0.0, "c": 0.5}, "a"),
        ({"a": 1.6, "b": 1.5, "c": 0.0}, "ab"),
        ({"a": 1.0, "b": 1.0, "c": 1.0}, "abc"),
        ({"a": 9.0, "b": 1.2, "c": 1.2}, "abc"),
        ({}, ""),
    ],
)
def test_of_several_each_needs_as_many_limits_as_there_are_models_to_each_that_asks(
    evidence: dict[str, float], ask: str
) -> None:
    assert passing(evidence) == set(ask)


@given(st.lists(EVIDENCE, min_size=1, max_size=30), st.floats(0, 5))
def test_more_evidence_of_one_takes_no_ask_from_another(values: list[float], more: float) -> None:
    before = {str(n): value for n, value in enumerate(values)}
    after = before | {"0": values[0] + more}

    assert passing(before) <= passing(after)


def of_its_own(random: np.random.Generator, streams: int, models: int) -> np.ndarray:
    return random.random((streams, models))


def the_same(random: np.random.Generator, streams: int, models: int) -> np.ndarray:
    return random.random((streams, 1)).repeat(models, axis=1)


def never_two(random: np.random.Generator, streams: int, models: int) -> np.ndarray:
    return (random.random((streams, 1)) + np.arange(models) / models) % 1


@pytest.mark.parametrize("dice", [of_its_own, the_same, never_two])
@pytest.mark.parametrize("limits", [1, 2, 12])
@pytest.mark.parametrize("changed", [0, 3])
def test_the_share_of_false_asks_is_at_most_the_nights_over_the_limit(
    dice: Callable[[np.random.Generator, int, int], np.ndarray], limits: int, changed: int
) -> None:
    """The worst detectors there are: nothing is seen for 99 nights, then all is bet on one throw for so many limits.

    Their expected evidence after 100 nights is 100, as much as a detector may have without a change.
    """
    models, nights, streams = 12, 100, 4000
    won = dice(np.random.default_rng(7), streams, models) < nights / (limits * LIMIT)
    evidence = np.where(np.arange(models) < changed, 12.0, np.where(won, limits, 0.0))
    asked = (passing({str(n): value for n, value in enumerate(row)}) for row in evidence.tolist())
    asks = np.array([[str(n) in those for n in range(models)] for those in asked])
    shares = asks[:, changed:].sum(axis=1) / np.maximum(asks.sum(axis=1), 1)
    bound = nights / LIMIT * (models - changed) / models

    assert shares.mean() <= bound + 3 * np.sqrt(bound * (1 - bound) / streams)
    assert asks[:, :changed].all()


def test_one_alone_of_three_needs_three_limits_and_the_words_say_so() -> None:
    others = [watched("b", 1.0), watched("c", 90.0)]
    few, enough = (
        who_asks([watched("a", 500.0), *others], "a", NIGHT),
        who_asks([watched("a", 1095.0), *others], "a", NIGHT),
    )

    assert (few.asks, few.waits) == (False, False)
    assert few.words == "shift: of 3 models watched, one alone needs 1,095, k together 3/k limits"
    assert (enough.asks, enough.words) == (True, "shift: 1 of 3 models watched ask together")


def test_one_model_asks_as_if_nobody_had_heard_of_others() -> None:
    said = who_asks([watched("a", 365.0)], "a", NIGHT)

    assert (said.asks, said.waits, said.words) == (True, False, "")


def test_a_model_without_a_verdict_of_the_night_counts_without_evidence_and_is_waited_for() -> None:
    late = watched("b", 4000.0, NIGHT - timedelta(days=1))
    waiting = who_asks([watched("a", 500.0), late], "a", NIGHT)
    waited = who_asks([watched("a", 500.0, is_new=False), late], "a", NIGHT)
    sure = who_asks([watched("a", 730.0), late], "a", NIGHT)
    there = who_asks([watched("a", 500.0), watched("b", 400.0)], "a", NIGHT)

    assert [(each.asks, each.waits) for each in (waiting, waited, sure, there)] == [
        (False, True),
        (False, False),
        (True, False),
        (True, False),
    ]


def test_reasons_are_compared_with_their_own_kind_and_what_is_no_evidence_asks_at_once() -> None:
    harmed = who_asks([watched("a", 400.0), watched("b", 9000.0, reason="harm")], "a", NIGHT)
    old = who_asks([watched("a", 400.0, reason="age"), watched("b", 0.0), watched("c", 0.0)], "a", NIGHT)

    assert harmed.asks
    assert (old.asks, old.words) == (True, "")
    assert who_asks([watched("b", 4000.0)], "a", NIGHT).asks, "a verdict from before there were reasons"
