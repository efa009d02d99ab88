"""k of the last n nights and the newest; nights that could not be judged are passed over."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightshift.monitor.verdict import decide_night
from nightshift.records.monitoring import DriftResult, PerformanceResult
from nightshift.specs.model import Drift

OK = DriftResult(400, "ok", 0.0, (), 0.01, 0.2, False, ())
DRIFTED = replace(
    OK, status="drifted", drifted_share=0.6, reasons=("temp_last drifted: PSI 1.93, limit 0.41",)
)
FEW = DriftResult(
    9, "too_few_rows", None, (), None, None, False, ("9 rows, fewer than min_rows 300: not judged",)
)
FINE = PerformanceResult("ok", "log_loss", 0.5, 0.4, 0.6, 0.5, 0.0, 900, 900, {}, "")
DEGRADED = replace(FINE, status="degraded", reason="log_loss 0.7000 on 900 labels")
PENDING = replace(FINE, status="pending", value=None)
SPEC = Drift(breaches=2, of_last=3)


@pytest.mark.parametrize(
    ("history", "today", "retrain"),
    [
        ([], OK, False),
        ([], DRIFTED, False),
        (["ok", "ok"], DRIFTED, False),
        (["ok", "breached"], DRIFTED, True),
        (["breached", "ok"], DRIFTED, True),
        (["breached", "breached"], DRIFTED, True),
        (["breached", "breached"], OK, False),
        (["breached", "breached"], FEW, False),
        (["drifted", "ok"], DRIFTED, True),
        (["ok", "degraded"], DRIFTED, True),
        (["breached", "too_few_rows"], DRIFTED, True),
        (["breached", None], DRIFTED, True),
        (["too_few_rows", None], DRIFTED, False),
        (["breached", "ok", "ok"], DRIFTED, False),
        (["breached", "ok", "too_few_rows"], DRIFTED, True),
    ],
)
def test_two_of_the_last_three_and_the_newest(
    history: list[str | None], today: DriftResult, retrain: bool
) -> None:
    assert decide_night(history, today, None, SPEC).retrain == retrain


@pytest.mark.parametrize(
    ("today", "performance", "status"),
    [
        (OK, None, "ok"),
        (OK, FINE, "ok"),
        (OK, PENDING, "ok"),
        (OK, DEGRADED, "breached"),
        (DRIFTED, FINE, "breached"),
        (DRIFTED, DEGRADED, "breached"),
        (FEW, None, "too_few_rows"),
        (FEW, PENDING, "too_few_rows"),
        (FEW, FINE, "too_few_rows"),
        (FEW, DEGRADED, "breached"),
    ],
)
def test_drift_or_degraded_performance_breaches(
    today: DriftResult, performance: PerformanceResult | None, status: str
) -> None:
    assert decide_night([], today, performance, SPEC).status == status


def test_the_reason_names_the_count_and_every_cause() -> None:
    verdict = decide_night(["ok", "breached"], DRIFTED, DEGRADED, SPEC)

    assert (verdict.breaches, verdict.judged) == (2, 3)
    assert verdict.reason == (
        "2 of the last 3 judged nights breached, 2 of 3 needed: temp_last drifted: PSI 1.93, limit 0.41; "
        "log_loss 0.7000 on 900 labels"
    )


def test_one_of_one_needs_no_history() -> None:
    assert decide_night(["ok"] * 5, DRIFTED, None, Drift(breaches=1, of_last=1)).retrain


def test_an_unknown_status_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown status 'fine'"):
        decide_night(["fine"], OK, None, SPEC)


@given(
    st.lists(st.sampled_from(["ok", "breached", "too_few_rows", None]), max_size=8),
    st.sampled_from([OK, DRIFTED, FEW]),
    st.integers(1, 5).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))),
)
def test_retraining_always_has_a_breached_night_behind_it(
    history: list[str | None], today: DriftResult, k_of_n: tuple[int, int]
) -> None:
    spec = Drift(breaches=k_of_n[0], of_last=k_of_n[1])
    verdict = decide_night(history, today, None, spec)

    assert verdict.retrain == (today is DRIFTED and verdict.breaches >= spec.breaches)
    assert verdict.breaches <= verdict.judged <= spec.of_last
