"""A verdict is a sum of what was counted when nights were scored: it reads no row again, and says the same again."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from integration.conftest import LAST, MODEL, SCORED
from nightshift import stages
from nightshift.monitor.profile import counted
from nightshift.platform.counting import window_counts
from nightshift.platform.fitted import load_version
from nightshift.platform.predictions import profile_of
from nightshift.records import monitoring, sketches
from nightshift.stages import Platform, Try
from nightshift.warehouse import feature_table

pytestmark = pytest.mark.integration

NIGHT = SCORED.last
WINDOW = 7


def verdict(platform: Platform, night: date = NIGHT) -> monitoring.Verdict:
    stages.decide_verdict(platform, MODEL, night, Try("again"))
    found = platform.warehouse.one(monitoring.VERDICT, model=MODEL, batch_date=night)
    assert found
    return found


def said(of: monitoring.Verdict) -> tuple:
    return of.status, of.retrain, of.reason, of.drift, of.reasons


def counts(platform: Platform) -> dict[date, sketches.ProfileCounts]:
    of = {"model": MODEL, "version": 1, "after": date.min, "last": LAST}
    return {each.batch_date: each for each in platform.warehouse.all(sketches.SERVED, **of)}


def test_a_scored_night_is_counted_as_its_rows_are(still: Platform) -> None:
    model = still.project.model(MODEL)
    spec, profile = still.project.feature_set(model.features), profile_of(still, model, 1)
    predict, kept = load_version(still, model, 1), counts(still)

    assert list(kept) == SCORED.dates
    for night in SCORED.dates:
        rows = still.warehouse.read(feature_table(spec), night, night)
        assert kept[night].counted == counted(profile, rows, predict(rows))


def test_a_night_is_judged_without_a_row_of_its_window(loop: Platform) -> None:
    before = verdict(loop)
    spec = loop.project.feature_set(loop.project.model(MODEL).features)
    loop.warehouse.execute(f"DELETE FROM {feature_table(spec).qualified}")

    assert before.drift.rows > 0
    assert said(verdict(loop)) == said(before)


def test_a_night_that_this_version_has_not_scored_is_counted_once(loop: Platform) -> None:
    before = verdict(loop)
    loop.warehouse.execute("DELETE FROM catalog.profile_counts WHERE batch_date >= '2013-02-01'")
    again = verdict(loop)
    kept = loop.warehouse.rows("SELECT count(*) AS n FROM catalog.profile_counts")

    assert said(again) == said(before)
    assert kept == [{"n": len(SCORED.dates)}]


def test_a_window_reaches_back_before_the_first_night_that_was_scored(loop: Platform) -> None:
    model = loop.project.model(MODEL)
    profile = profile_of(loop, model, 1)
    assert profile
    nights = window_counts(loop, model, 1, profile, SCORED.first)

    assert [each.batch_date for each in nights] == list(pd.date_range(end=SCORED.first, periods=WINDOW).date)
    assert all(each.counted and each.counted.rows for each in nights)


def test_features_that_were_built_anew_are_counted_anew(loop: Platform) -> None:
    before = verdict(loop)
    spec = loop.project.feature_set(loop.project.model(MODEL).features)
    loop.warehouse.execute(
        f"UPDATE {feature_table(spec).qualified} SET wind_last = 999 WHERE batch_date = %s", (NIGHT,)
    )
    loop.warehouse.execute(
        "UPDATE catalog.feature_batches SET content_sha256 = 'corrected' WHERE batch_date = %s", (NIGHT,)
    )
    after = verdict(loop)
    psi = [{f.name: f.psi for f in each.drift.features} for each in (before, after)]

    assert after.drift.counts_sha256 != before.drift.counts_sha256
    assert psi[0]["wind_last"] < psi[1]["wind_last"]
    assert psi[0]["distance"] == psi[1]["distance"]


def test_a_report_draws_a_sample_of_the_window_and_tells_all_rows(loop: Platform) -> None:
    model = loop.project.model(MODEL)
    spec = loop.project.feature_set(model.features)
    with loop.warehouse.reading() as reading:
        drawn, again = (reading.sample(feature_table(spec), SCORED.first, NIGHT, 5) for _ in range(2))
        whole = reading.read(feature_table(spec), SCORED.first, NIGHT)

    pd.testing.assert_frame_equal(drawn, again)
    assert len(drawn) / len(whole) == pytest.approx(0.2, abs=0.02)
    assert np.isin(drawn["flight_id"], whole["flight_id"]).all()
    assert drawn.groupby("batch_date").size().gt(0).sum() == len(SCORED.dates)
