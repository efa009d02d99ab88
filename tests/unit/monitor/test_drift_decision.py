"""The decision: quiet without drift, loud with it, and never fooled by one ruined feature."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter
from synthetic_nights import dates, equal, rows, weather

from nightshift.errors import SchemaMismatch
from nightshift.monitor.drift import MEASURES, critical_psi, decide
from nightshift.monitor.profile import build_profile, counted, summed
from nightshift.records.monitoring import DriftResult
from nightshift.records.profile import Profile
from nightshift.specs.model import Drift

DRIFT = Drift(min_rows=100)
TRAINING_ROWS, TRAINING_NIGHTS = 6000, 30


def trained(frame: pd.DataFrame, importance: dict[str, float] | None = None, drift: Drift = DRIFT) -> Profile:
    predictions = np.random.default_rng(99).random(len(frame))
    nights = dates(len(frame), TRAINING_NIGHTS)
    return build_profile(frame, predictions, nights, importance or equal(frame), drift)


def judged(profile: Profile, window: pd.DataFrame, drift: Drift = DRIFT) -> DriftResult:
    return decide(profile, counted(profile, window, np.random.default_rng(98).random(len(window))), drift)


@pytest.fixture(scope="module")
def training() -> pd.DataFrame:
    return rows(0, TRAINING_ROWS)


@pytest.fixture(scope="module")
def profile(training: pd.DataFrame) -> Profile:
    """Ten columns; x0 carries 40 % of the importance, x3 1 %."""
    weights = {**dict.fromkeys(training.columns, 59 / 8), "x0": 40.0, "x3": 1.0}
    return trained(training, weights)


@pytest.mark.parametrize("n", [150, 300])
def test_at_most_one_percent_false_alarms_over_100_seeds_without_drift(n: int) -> None:
    alarms = drifted_features = 0
    for seed in range(100):
        profile = trained(rows(seed, TRAINING_ROWS))
        random = np.random.default_rng(5000 + seed)
        result = decide(profile, counted(profile, rows(1000 + seed, n), random.random(n)), DRIFT)
        alarms += result.status == "drifted"
        drifted_features += sum(feature.drifted for feature in result.features)

    assert alarms <= 1
    assert drifted_features <= 0.01 * 100 * len(profile.features)


@pytest.mark.parametrize("n", [150, 300])
def test_a_model_of_one_feature_has_as_few_false_alarms(n: int) -> None:
    profile = trained(rows(0, TRAINING_ROWS)[["x0"]])
    random = np.random.default_rng(7)
    windows = (pd.DataFrame({"x0": random.normal(size=n)}) for _ in range(1000))
    alarms = sum(
        decide(profile, counted(profile, window, random.random(n)), DRIFT).status == "drifted"
        for window in windows
    )

    assert alarms <= 10


def test_the_noise_bound_holds_where_the_limit_would_not() -> None:
    """A limit of 0.05 is below the noise of 150 rows: only the chi-square bound keeps these quiet."""
    drift = Drift(min_rows=100, psi=0.05)
    profile = trained(rows(0, TRAINING_ROWS)[["x0"]], drift=drift)
    random = np.random.default_rng(8)
    windows = [pd.DataFrame({"x0": random.normal(size=150)}) for _ in range(200)]
    results = [decide(profile, counted(profile, window, random.random(150)), drift) for window in windows]

    assert sum(result.features[0].psi >= 0.05 for result in results) > 50
    assert sum(result.status == "drifted" for result in results) <= 6


@pytest.mark.parametrize("n", [150, 300, 3000])
@pytest.mark.parametrize("column", ["x0", "x3", "carrier", "flag", "gappy"])
def test_forty_percent_nulls_in_one_feature_alarm(profile: Profile, n: int, column: str) -> None:
    window = rows(1, n)
    window[column] = window[column].astype("object").where(np.random.default_rng(2).random(n) >= 0.4, None)
    if column in {"x0", "x3", "gappy"}:
        window[column] = window[column].astype(float)
    result = judged(profile, window)

    assert result.status == "drifted"
    assert result.reasons[0].startswith(f"{column} is ruined: ")


def test_what_a_measure_of_the_table_says_is_a_reason(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        MEASURES, "fewest", lambda column, drift: "too even" if column.then.name == "x3" else None
    )
    result = judged(profile, rows(1, 300))

    assert {each.name: each.ruins for each in result.features if each.ruined} == {"x3": ("too even",)}
    assert result.reasons == ("x3 is ruined: too even",)


def test_a_few_nulls_do_not_ruin_a_feature(profile: Profile) -> None:
    window = rows(1, 3000)
    window.loc[: 3000 * 0.1, "x3"] = np.nan

    assert judged(profile, window).status == "ok"


def test_nulls_as_in_the_training_weeks_ruin_nothing(training: pd.DataFrame) -> None:
    outage = training.copy()
    outage.loc[1000:2399, "x3"] = np.nan
    window = rows(1, 700)
    window.loc[:300, "x3"] = np.nan

    assert judged(trained(outage), window).status == "ok"
    assert judged(trained(training), window).status == "drifted"


def test_a_shifted_important_feature_alarms(profile: Profile) -> None:
    window = rows(1, 300)
    window["x0"] += 1.0
    result = judged(profile, window)

    assert result.status == "drifted"
    assert result.drifted_share == pytest.approx(0.4)
    assert result.reasons[0] == "drifted features carry 40% of the importance, limit 30%"
    assert result.reasons[1].startswith("x0 drifted: PSI ")


def test_an_unimportant_shifted_feature_alone_does_not(profile: Profile) -> None:
    window = rows(1, 300)
    window["x3"] += 5.0
    result = judged(profile, window)

    assert {feature.name for feature in result.features if feature.drifted} == {"x3"}
    assert result.status == "ok"
    assert result.drifted_share == pytest.approx(0.01)


def test_drifted_predictions_alone_alarm(profile: Profile) -> None:
    result = decide(profile, counted(profile, rows(1, 300), np.random.default_rng(1).beta(5, 1, 300)), DRIFT)

    assert result.prediction_drifted
    assert [reason.split(":")[0] for reason in result.reasons] == ["predictions drifted"]


def test_a_flood_of_an_unseen_category_is_drift(profile: Profile) -> None:
    window = rows(1, 300)
    window["carrier"] = window["carrier"].where(np.arange(300) % 2 == 0, "unheard of")

    assert {feature.name for feature in judged(profile, window).features if feature.drifted} == {"carrier"}


def test_weather_that_nights_share_alarms_only_without_the_envelope() -> None:
    """67 nights of one process: the last 7 differ from the first 60 as weeks of those 60 do."""
    with_envelope = without = 0
    for seed in range(40):
        frame = weather(seed, nights=67, rows_a_night=50, columns=10)
        past, window = frame.iloc[:3000], frame.iloc[3000:]
        predictions = np.random.default_rng(seed).random(len(frame))
        profile = build_profile(past, predictions[:3000], dates(3000, 60), equal(past), DRIFT)
        bare = tuple(f.model_copy(update={"psi_envelope": 0.0}) for f in profile.features)
        with_envelope += (
            decide(profile, counted(profile, window, predictions[3000:]), DRIFT).status == "drifted"
        )
        blind = profile.model_copy(update={"features": bare})
        without += decide(blind, counted(blind, window, predictions[3000:]), DRIFT).status == "drifted"

    assert without == 40
    assert with_envelope <= 4


def test_too_few_rows_are_not_judged_and_nothing_is_zero(profile: Profile) -> None:
    result = judged(profile, rows(1, 99))

    assert result.status == "too_few_rows"
    assert (result.drifted_share, result.prediction_psi, result.features) == (None, None, ())
    assert result.reasons == ("99 rows, fewer than min_rows 100: not judged",)


def test_no_rows_at_all_are_too_few(profile: Profile) -> None:
    assert judged(profile, rows(1, 0), Drift(min_rows=1)).status == "too_few_rows"


def test_the_order_of_columns_does_not_matter_and_the_decision_is_deterministic(profile: Profile) -> None:
    window = rows(1, 300)

    assert judged(profile, window[window.columns[::-1]]) == judged(profile, window)


def test_a_profile_read_back_decides_the_same(profile: Profile) -> None:
    window = rows(1, 300)

    assert judged(Profile.from_json(profile.to_json()), window) == judged(profile, window)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="carrier"), "feature 'carrier' of the profile is missing"),
        (lambda f: f.rename(columns={"carrier": "carriers"}), "did you mean 'carriers'"),
        (lambda f: f.assign(x0="much"), "'x0': expected numeric values, got "),
        (lambda f: f.assign(flag="maybe"), "'flag': expected boolean values, got "),
    ],
    ids=["missing", "renamed", "words for numbers", "words for booleans"],
)
def test_columns_that_are_not_the_profiles_are_refused_by_name(
    profile: Profile, change, message: str
) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SchemaMismatch, match=message):
        judged(profile, change(rows(1, 300)))


def test_columns_that_the_profile_does_not_name_are_left_out(profile: Profile) -> None:
    window = rows(1, 300)

    assert judged(profile, window.assign(flight_id="UA 1")) == judged(profile, window)


def test_a_window_is_the_sum_of_its_nights(profile: Profile) -> None:
    window, said = rows(1, 900), np.random.default_rng(98).random(900)
    nights = [counted(profile, window[n : n + 130], said[n : n + 130]) for n in range(0, 900, 130)]

    assert summed(nights, profile) == counted(profile, window, said)
    assert summed(reversed(nights), profile) == summed(nights, profile)
    assert summed([], profile).rows == 0


def test_predictions_must_match_the_rows(profile: Profile) -> None:
    with pytest.raises(SchemaMismatch, match="299 predictions for 300 rows"):
        decide(profile, counted(profile, rows(1, 300), np.zeros(299)), DRIFT)


def test_many_reasons_are_told_in_a_few_lines(training: pd.DataFrame) -> None:
    result = judged(trained(training), rows(1, 300).assign(**dict.fromkeys(["x0", "x1", "x2", "x3"], np.nan)))
    wide = pd.DataFrame({f"x{i}": training["x0"] for i in range(30)})

    assert len(result.reasons) == 4 + 1 + 4
    assert judged(trained(wide), wide.head(300) + 3).reasons[-1] == "and 25 more features"


def test_the_result_is_ready_for_json(profile: Profile) -> None:
    result, kept = judged(profile, rows(1, 300)), TypeAdapter(DriftResult)

    assert kept.validate_json(json.dumps(kept.dump_python(result, mode="json"), allow_nan=False)) == result


def test_the_noise_bound_shrinks_with_rows_and_is_zero_for_one_bin() -> None:
    assert critical_psi(10, 150, 6000, 0.01) == pytest.approx(21.666 * (1 / 150 + 1 / 6000), rel=1e-4)
    assert critical_psi(10, 300, 6000, 0.01) < critical_psi(10, 150, 6000, 0.01)
    assert critical_psi(1, 300, 6000, 0.01) == 0.0


def test_deciding_imports_no_evidently() -> None:
    check = "import sys, nightshift.monitor.verdict; sys.exit('evidently' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
