"""The verdict: one reason that is switched on and passes its limit asks; every one of them says what it saw."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightshift.monitor.verdict import REASONS, Seen, decide_night, shares
from nightshift.records.monitoring import DriftResult, Harm, PerformanceResult, Shift
from nightshift.records.replays import GainByAge
from nightshift.specs import Model

NIGHT = date(2013, 7, 10)
OK = DriftResult(400, "ok", 0.0, (), 0.01, 0.2, False, ())
DRIFTED = replace(
    OK, status="drifted", drifted_share=0.6, reasons=("temp_last drifted: PSI 1.93, limit 0.41",)
)
FEW = DriftResult(
    9, "too_few_rows", None, (), None, None, False, ("9 rows, fewer than min_rows 300: not judged",)
)
FINE = PerformanceResult("ok", "log_loss", 0.5, 0.4, 0.6, 0.5, 0.0, 900, 900, {}, "log_loss 0.5")
DEGRADED = replace(FINE, status="degraded", worsening=0.4, reason="log_loss 0.7000 on 900 labels")
DAY = timedelta(days=1)
# A hundredth a night from the first night on, also beyond what was seen.
GAINS, FLAT = GainByAge((0.0, 0.01, 0.01, 0.01), 60), GainByAge((0.0, 0.0), 60)
OFF = {"shift": None, "harm": None, "age_days": None}


def model(when: dict[str, Any], **drift: Any) -> Model:
    return Model.model_validate(
        {
            "name": "late",
            "owner": "ops",
            "description": "x",
            "task": "classification",
            "features": "departure",
            "target": {"source": "arrivals", "column": "arr_delay", "above": 15, "matures_after_days": 2},
            "estimator": {"class": "sklearn.linear_model.LogisticRegression"},
            "gates": [
                {"gate": "minimum_score", "metric": "roc_auc", "value": 0.5},
                {"gate": "beats_champion", "metric": "log_loss"},
            ],
            "drift": drift,
            "performance": {"metric": "log_loss"},
            "retrain": {"when": when},
        }
    )


def moved(evidence: float) -> DriftResult:
    return replace(OK, shift=Shift(evidence, 365.0, 40, ("temp_last shifted",), "x"))


def hurt(evidence: float) -> Harm:
    return Harm(evidence, 365.0, 20, 0.01, 0.09, "skill 0.010 since 2013-07-01, 0.090 in training")


def seen(drift: DriftResult = OK, **known: Any) -> Seen:
    return Seen(NIGHT, drift, **known)


GAIN = OFF | {"expected_gain": 0.1}


@pytest.mark.parametrize(
    ("when", "night", "status", "says"),
    [
        ({}, seen(moved(364)), "ok", "nothing asks: evidence of a shift 364 of 365 over 40 nights"),
        ({}, seen(moved(365)), "breached", "shift 365 of 365 over 40 nights: temp_last shifted"),
        ({"shift": 20}, seen(moved(21)), "breached", "evidence of a shift 21 of 20"),
        ({"shift": None}, seen(moved(9e9), harm=hurt(1)), "ok", "nothing asks: evidence of harm 1 of 365"),
        ({}, seen(moved(1), harm=hurt(400)), "breached", "evidence of harm 400 of 365: skill 0.010 since"),
        ({}, seen(fitted_until=NIGHT - timedelta(days=55)), "ok", "55 nights ago, age_days 56"),
        ({}, seen(fitted_until=NIGHT - timedelta(days=56)), "breached", "56 nights ago, age_days 56"),
        (
            GAIN,
            seen(fitted_until=NIGHT - 9 * DAY),
            "too_few_rows",
            "no replay says yet what a training gains",
        ),
        (GAIN, seen(gains=GAINS), "too_few_rows", "no reason of retrain.when is switched on"),
        (
            GAIN,
            seen(fitted_until=NIGHT - 9 * DAY, gains=GAINS),
            "ok",
            f"expected_gain 0.1; wait until {NIGHT + DAY}",
        ),
        (
            GAIN,
            seen(fitted_until=NIGHT - 10 * DAY, gains=GAINS),
            "breached",
            "would have gained 0.100 in loss since",
        ),
        (GAIN, seen(fitted_until=NIGHT - DAY, gains=FLAT), "ok", "age alone does not make it pay"),
        ({"age_days": None}, seen(moved(0), fitted_until=date(2000, 1, 1)), "ok", "nothing asks"),
        (
            {},
            seen(),
            "too_few_rows",
            "not judged: no nights since training to see a shift in; no matured nights",
        ),
        (OFF, seen(moved(9e9)), "too_few_rows", "no reason of retrain.when is switched on"),
        # drifted windows and degraded performance are told, and ask only where the spec says so
        ({}, seen(replace(moved(0), status="drifted"), performance=DEGRADED), "ok", "nothing asks"),
        (OFF | {"degraded": True}, seen(performance=DEGRADED), "breached", "log_loss 0.7000 on 900 labels"),
        (OFF | {"degraded": True}, seen(performance=FINE), "ok", "log_loss 0.5"),
    ],
)
def test_a_reason_asks_where_its_limit_is_passed(
    when: dict[str, Any], night: Seen, status: str, says: str
) -> None:
    verdict = decide_night(model(when), night)
    assert (verdict.status, says in verdict.reason) == (status, True), verdict.reason
    assert verdict.retrain == (status == "breached") == any(reason.asks for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("windows", "today", "asks"),
    [
        ([], OK, False),
        ([], DRIFTED, False),
        (["ok", "ok"], DRIFTED, False),
        (["ok", "drifted"], DRIFTED, True),
        (["drifted", "ok"], DRIFTED, True),
        (["drifted", "drifted"], OK, False),
        (["drifted", "drifted"], FEW, False),
        (["drifted", "too_few_rows"], DRIFTED, True),
        (["drifted", None], DRIFTED, True),
        (["too_few_rows", None], DRIFTED, False),
        (["drifted", "ok", "ok"], DRIFTED, False),
        (["drifted", "ok", "too_few_rows"], DRIFTED, True),
    ],
)
def test_windows_ask_where_two_of_the_last_three_and_the_newest_drifted(
    windows: list[str | None], today: DriftResult, asks: bool
) -> None:
    spec = model(OFF | {"psi": True}, breaches=2, of_last=3)
    assert decide_night(spec, seen(today, windows=windows)).retrain == asks


def test_the_words_name_every_reason_that_asks() -> None:
    verdict = decide_night(model({"psi": True}), seen(DRIFTED, windows=["drifted"], harm=hurt(500)))
    assert verdict.reason == (
        "evidence of harm 500 of 365: skill 0.010 since 2013-07-01, 0.090 in training; "
        "2 of the last 2 windows drifted, 2 of 3 needed: temp_last drifted: PSI 1.93, limit 0.41"
    )
    assert [reason.name for reason in verdict.reasons] == ["shift", "harm", "psi"]


@given(
    st.lists(st.sampled_from(["ok", "drifted", "too_few_rows", None]), max_size=8),
    st.sampled_from([OK, DRIFTED, FEW]),
    st.integers(1, 5).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))),
)
def test_a_request_of_windows_always_has_a_drifted_one_behind_it(
    windows: list[str | None], today: DriftResult, k_of_n: tuple[int, int]
) -> None:
    spec = model(OFF | {"psi": True}, breaches=k_of_n[0], of_last=k_of_n[1])
    [reason] = decide_night(spec, seen(today, windows=windows)).reasons
    assert reason.asks == (today is DRIFTED and (reason.value or 0) >= spec.drift.breaches)


def test_every_reason_stands_in_the_table() -> None:
    assert list(REASONS) == ["shift", "harm", "age", "expected_gain", "psi", "degraded"]


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ({}, {"harm": 0.2, "shift": 0.2}),
        ({"shift": 50, "harm": 146}, {"harm": 0.5, "shift": 1.46}),
        (OFF, {"harm": 0.2, "shift": 0.2}),
    ],
)
def test_evidence_is_told_as_a_share_of_the_limit_that_the_spec_declares(
    when: dict[str, Any], told: dict[str, float]
) -> None:
    assert shares(model(when), seen(drift=moved(73.0), harm=hurt(73.0))) == pytest.approx(told)
    assert shares(model(when), seen()) == {}
