"""What serves is a refit of what was judged: both are kept, checked, made again; no holdout has been seen by either."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from integration.conftest import MODEL, History, train, with_model
from nightshift import metrics, stages
from nightshift import train as training
from nightshift.calendar import DateRange
from nightshift.errors import ArtifactRefused, UnfairHoldout
from nightshift.platform.fitted import JUDGED_FOLDER, judged, opened, serving
from nightshift.platform.frozen import read_snapshot, split
from nightshift.platform.papers import decision_of, version_row
from nightshift.records.versions import Version
from nightshift.registry import MODEL_FOLDER, model_files
from nightshift.stages import Answer, Platform, Try
from nightshift.stages.judging import _sha256_of
from nightshift.warehouse import feature_table

pytestmark = pytest.mark.integration

# Judged on 29 January to 4 February, and then fitted up to that night.
AS_OF, LAST_FITTED = date(2013, 2, 6), date(2013, 2, 4)
# A holdout of seven nights after that, whose labels take two.
FAIR_FROM = date(2013, 2, 13)
RUN = "refitted"


def refitting(platform: Platform, **more: Any) -> Platform:
    """Return the platform with a spec that beats the champion of the history, and serves by a refit."""

    def change(model: dict) -> None:
        model["estimator"]["params"].update(max_iter=60, learning_rate=0.05)
        model["train"]["refit"] = True
        model["gates"].append({"gate": "calibrated", "value": 0.1})
        model.update(more)

    return with_model(platform, change)


@pytest.fixture(scope="module")
def _refitted(history: History, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    def go_on(month: Platform) -> None:
        promoted = train(refitting(month), AS_OF, RUN)
        assert promoted["outcome"] == "promoted"

    with history.continued(tmp_path_factory.mktemp("refitted"), go_on) as refitted:
        yield refitted


@pytest.fixture
def refitted(_refitted: History, tmp_path: Path) -> Iterator[Platform]:
    """Return the month with a champion of 6 February that serves by its refit."""
    with _refitted.copied(tmp_path) as platform:
        yield refitting(platform)


def champion(platform: Platform) -> Version:
    return version_row(platform, MODEL, platform.registry.champion(MODEL) or 0)


def rows_of(platform: Platform, version: Version) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to fit on and the holdout."""
    return split(*read_snapshot(platform, version.snapshot_id))


def test_what_serves_was_fitted_to_the_last_night_and_what_was_judged_before_the_holdout(
    refitted: Platform,
) -> None:
    version = champion(refitted)
    assert (version.train_last, version.trained_until) == (date(2013, 1, 28), LAST_FITTED)
    fitting, holdout = rows_of(refitted, version)
    everything = pd.concat([fitting, holdout]).sort_index()
    spec, features = refitted.project.model(MODEL), refitted.project.feature_set("departure")
    for file, rows in ((judged(refitted, version), fitting), (serving(refitted, version), everything)):
        expected = training.predict(training.fit(spec, features, rows, rows["label"]), holdout)
        assert (training.predict(opened(refitted, file, version), holdout) == expected).all()
    scores = training.predict(opened(refitted, judged(refitted, version), version), holdout)
    decision = decision_of(refitted, MODEL, RUN)
    assert decision.challenger_metrics == metrics.score("classification", holdout["label"], scores)
    said = {gate.gate: gate.words for gate in decision.gates}
    assert said["refit"].startswith("fitted to 2013-02-04, its predictions are 0.")
    params = refitted.registry._client.get_run(version.mlflow_run_id).data.params
    assert (params["train_last"], params["refit_last"]) == ("2013-01-28", "2013-02-04")


def test_nights_are_scored_by_the_refit(refitted: Platform) -> None:
    version, night = champion(refitted), DateRange(date(2013, 2, 8), date(2013, 2, 8))
    stages.score(refitted, MODEL, night, Try("night"))
    table = feature_table(refitted.project.feature_set("departure"))
    with refitted.warehouse.reading() as reading:
        features = reading.read(table, night.first, night.last)
    expected = training.predict(opened(refitted, serving(refitted, version), version), features)
    said = refitted.warehouse.rows(
        "SELECT flight_id, prediction FROM predictions.late_arrival_champion WHERE batch_date = %s",
        (night.first,),
    )
    assert {row["flight_id"]: row["prediction"] for row in said} == dict(
        zip(features["flight_id"], expected, strict=True)
    )


def broken(platform: Platform, path: str, act: Callable[[], object]) -> None:
    """Flip a byte of a file of the champion's run while ``act`` happens: other tests have that run too."""
    run_id = champion(platform).mlflow_run_id
    content = platform.registry.file(run_id, path)
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    platform.registry.log_file(run_id, path, flipped)
    try:
        with pytest.raises(ArtifactRefused, match=r"model artifact has sha256 .* was recorded"):
            act()
    finally:
        platform.registry.log_file(run_id, path, content)


@pytest.mark.parametrize("folder", [MODEL_FOLDER, JUDGED_FOLDER])
def test_a_flipped_byte_of_either_file_is_refused(refitted: Platform, folder: str) -> None:
    of = serving if folder == MODEL_FOLDER else judged
    path, _ = model_files(folder, of(refitted, champion(refitted)).sha256)
    refitted.warehouse.execute(
        "ALTER TABLE governance.decisions DISABLE TRIGGER ALL; DELETE FROM governance.decisions WHERE training_id = %s",
        (RUN,),
    )
    version = champion(refitted).version
    broken(
        refitted, path, lambda: stages.reproduce(refitted, MODEL, version, Try("again"), reason="an audit")
    )
    broken(refitted, path, lambda: stages.evaluate(refitted, MODEL, AS_OF, Try(RUN), reason="a test"))


def test_both_fits_are_made_again_to_the_bit(refitted: Platform) -> None:
    version = champion(refitted)
    found = stages.reproduce(refitted, MODEL, None, Try("again"), reason="an audit")
    assert found["outcome"].endswith("predictions, of what was judged and of what serves, to the bit.")
    row = refitted.warehouse.row("SELECT equal, findings FROM governance.reproductions")
    said = (row or {})["findings"]
    assert version.refit
    assert said["predictions"]["again_sha256"] == version.predictions_sha256
    assert said["judged"]["again_sha256"] == version.refit.judged_predictions_sha256
    assert said["predictions"]["again_sha256"] != said["judged"]["again_sha256"]
    refitted.warehouse.execute(
        "ALTER TABLE governance.versions DISABLE TRIGGER append_only; UPDATE governance.versions "
        "SET refit = jsonb_set(refit, '{judged_predictions_sha256}', '\"other\"') WHERE version = %s",
        (version.version,),
    )
    assert not stages.reproduce(refitted, MODEL, None, Try("altered"), reason="an audit")["equal"]


def test_a_refitted_champion_is_not_judged_on_a_night_of_its_refit(refitted: Platform) -> None:
    """Its judged fit has not seen the night, but that is not what serves."""
    version, as_of = champion(refitted), date(2013, 2, 8)
    assert version.train_last < date(2013, 1, 31) <= LAST_FITTED
    with pytest.raises(
        UnfairHoldout,
        match=f"version {version.version} was trained on days up to 2013-02-04; the holdout starts on 2013-01-31. "
        f"Train as of {FAIR_FROM}, or later",
    ):
        train(refitted, as_of, "too soon")
    began = refitted.warehouse.rows("SELECT 1 FROM governance.versions WHERE training_id = 'too soon'")
    assert began == [], "refused before anything is fitted"
    # Nor by a snapshot whose nights have other names: its rows are looked at as well.
    refitted.warehouse.execute(
        "ALTER TABLE governance.versions DISABLE TRIGGER append_only; UPDATE governance.versions "
        "SET refit = jsonb_set(refit, '{last}', '\"2013-01-28\"') WHERE version = %s",
        (version.version,),
    )
    with pytest.raises(UnfairHoldout, match=r"of the \d+ rows of the holdout are among the rows"):
        train(refitted, as_of, "too soon")


def test_a_training_that_could_not_be_judged_is_not_started(refitted: Platform) -> None:
    asks = "UPDATE monitoring.verdicts SET retrain = true WHERE model = %s AND batch_date = %s"
    night = date(2013, 2, 8)
    stages.score(refitted, MODEL, DateRange(date(2013, 2, 6), night), Try("night"))
    stages.decide_verdict(refitted, MODEL, night, Try("night"))
    refitted.warehouse.execute(asks, (MODEL, night))
    without = with_model(refitted, lambda m: m["retrain"].update(cooldown_days=0))
    answer = stages.decide_retraining(without, MODEL, night, Try("night"))
    assert not answer["start"]
    assert answer["reason"].startswith(
        f"a fair holdout begins after the champion's last trained night: not before {FAIR_FROM}"
    )


def test_a_signature_covers_both_files(refitted: Platform) -> None:
    version, decision = champion(refitted), decision_of(refitted, MODEL, RUN)
    assert version.refit
    assert _sha256_of(decision, version) == decision.evidence_sha256
    others = (
        replace(version, artifact_sha256="another"),
        replace(version, refit=replace(version.refit, judged_sha256="another")),
    )
    assert len({decision.evidence_sha256, *(_sha256_of(decision, other) for other in others)}) == 3


def test_the_card_says_which_is_which(refitted: Platform) -> None:
    version = champion(refitted)
    card = stages.write_card(refitted, MODEL, Try(RUN))
    shown = refitted.objects.get(card["card"]).decode()
    assert version.refit
    for words in (
        version.refit.judged_sha256,
        "2013-01-15 to 2013-02-04",
        "those that it was judged on among them",
    ):
        assert words in shown, words
    text = refitted.registry.file(version.mlflow_run_id, f"train_{MODEL}.py").decode()
    assert "fitted up to 2013-01-28. What serves is fitted(rows) up to 2013-02-04" in text
    first = refitted.warehouse.rows("SELECT min(version) AS n FROM governance.versions")[0]["n"]
    compared = stages.compare_versions(refitted, MODEL, version.version, first)
    assert f"version {version.version} as it was judged" in compared


def test_a_version_is_what_it_was_recorded_as_whatever_the_spec_says_now(refitted: Platform) -> None:
    without = with_model(refitted, lambda m: m["train"].update(refit=False))
    found = stages.reproduce(without, MODEL, None, Try("again"), reason="an audit")
    assert found["equal"]


@pytest.mark.slow
def test_a_signature_that_came_too_late_repeats_no_training_that_could_not_be_judged(loop: Platform) -> None:
    """The champion of meanwhile has seen the holdout of what was signed."""
    waiting, asked = refitting(loop, approval="required", approvers=["olga"]), Try("waiting")
    frozen = stages.snapshot(waiting, MODEL, AS_OF, asked)
    stages.fit(waiting, MODEL, frozen["snapshot_id"], asked, reason="a test")
    assert stages.evaluate(waiting, MODEL, AS_OF, asked, reason="a test")["passed"]
    assert train(refitting(loop), AS_OF - timedelta(days=1), "meanwhile")["outcome"] == "promoted"
    noon = datetime(2013, 2, 6, 12, tzinfo=UTC)
    stages.sign(waiting, MODEL, asked, Answer(approved=True, by="olga", comment=None, at=noon))
    assert stages.promote(waiting, MODEL, AS_OF, asked, actor="tester")["outcome"] == "stale"
    assert stages.judge_again(waiting, MODEL, asked) is None
    assert stages.conclude(waiting, asked) == {"outcome": "stale"}
