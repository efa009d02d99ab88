"""A model of several classes through real nights: trained, promoted, scored, watched, carded, made again to the bit.

And a model whose features hold the answer: it stops at the gate that says which of them.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.preprocessing import OneHotEncoder

from integration.conftest import FIRST, LAST, History
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.errors import NotReady, SchemaMismatch, SpecError
from nightshift.platform.frozen import read_snapshot, split
from nightshift.specs import Model, Source, class_column
from nightshift.stages import Platform, Try

pytestmark = pytest.mark.integration

MODEL, AS_OF, SCORED = "delay_class", date(2013, 1, 28), DateRange(date(2013, 1, 28), date(2013, 2, 5))
CLASSES = ["on time", "early", "late", "Very late (C++)", "diverted"]  # nothing is ever the last
PARAMS = {"max_iter": 25, "learning_rate": 0.2, "min_samples_leaf": 50, "random_state": 0}
BINARY_GATES = [
    {"gate": "minimum_score", "metric": "roc_auc", "value": 0.5},
    {"gate": "beats_champion", "metric": "log_loss"},
]
OUTCOMES = {
    "name": "outcomes",
    "owner": "me",
    "description": "How flights arrived, in words.",
    "connector": {
        "kind": "sql",
        "connection": "ops",
        "query": """
            SELECT flight_id, reported_at, origin AS airport, CASE WHEN arr_delay <= -10 THEN 'early'
              WHEN arr_delay <= 15 THEN 'on time' WHEN arr_delay <= 60 THEN 'late'
              WHEN arr_delay > 60 THEN 'Very late (C++)' END AS outcome
            FROM ops.arrivals WHERE reported_at >= :window_start AND reported_at < :window_end""",
    },
    "key": ["flight_id"],
    "known_at": "reported_at",
    "columns": {
        "flight_id": {"type": "string"},
        "reported_at": {"type": "timestamp"},
        "airport": {"type": "string"},
        "outcome": {"type": "string", "nullable": True},
    },
    "expectations": [
        {"expect_column_values_to_be_in_set": {"column": "airport", "value_set": ["EWR", "JFK", "LGA"]}}
    ],
}


def spec(name: str = MODEL, **changed: Any) -> Model:
    content = {
        "name": name,
        "owner": "me",
        "description": "How a flight will arrive.",
        "task": "classification",
        "features": "departure",
        "target": {"source": "outcomes", "column": "outcome", "classes": CLASSES, "matures_after_days": 2},
        "estimator": {"class": "sklearn.ensemble.HistGradientBoostingClassifier", "params": PARAMS},
        "train": {"window_days": 14, "holdout_days": 7, "min_rows": 500},
        "gates": [
            {"gate": "minimum_score", "metric": "roc_auc_ovr", "value": 0.55},
            {"gate": "beats_champion", "metric": "log_loss", "confidence": 0.0},
            {"gate": "no_worse_on_slices", "metric": "log_loss", "value": 0.5},
            {"gate": "calibrated", "value": 0.15},
        ],
        "slices": ["origin"],
        "performance": {"metric": "log_loss", "window_days": 3, "min_labels": 100},
    }
    return Model.model_validate({**content, **changed})


def with_models(platform: Platform, *models: Model) -> Platform:
    project = platform.project.model_copy(update={"models": {each.name: each for each in models}})
    return replace(platform, project=project)


def judged(platform: Platform, name: str, as_of: date, run_id: str) -> dict[str, Any]:
    asked = Try(run_id)
    frozen = stages.snapshot(platform, name, as_of, asked)
    stages.fit(platform, name, frozen["snapshot_id"], asked, reason="a test")
    return stages.evaluate(platform, name, as_of, asked, reason="a test")


@dataclass(frozen=True)
class Trained:
    """The champion of several classes, and the night's platform."""

    platform: Platform
    version: int


@pytest.fixture(scope="module")
def trained(history: History, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """Collect the outcomes, train, promote, score."""
    with history.copied(tmp_path_factory.mktemp("classes")) as month:
        source = Source.model_validate(OUTCOMES)
        sources = {**month.project.sources, source.name: source}
        platform = with_models(
            replace(month, project=month.project.model_copy(update={"sources": sources})), spec()
        )
        nights, asked = DateRange(FIRST, LAST), Try("outcomes")
        stages.collect(platform, source.name, nights, asked)
        stages.validate(platform, source.name, nights, asked)
        decided = judged(platform, MODEL, AS_OF, "classes")
        assert decided["passed"], decided["gates"]
        promoted = stages.promote(platform, MODEL, AS_OF, Try("classes"), actor="tester")
        assert promoted["outcome"] == "promoted"
        stages.score(platform, MODEL, SCORED, Try("scored"))
        yield Trained(platform, promoted["version"])


def decision(platform: Platform, run_id: str = "classes") -> dict[str, Any]:
    row = platform.warehouse.row("SELECT * FROM governance.decisions WHERE training_id = %s", (run_id,))
    assert row
    return row


def test_the_score_is_that_of_plain_scikit_learn_on_the_same_rows(trained: Trained) -> None:
    facts, rows = read_snapshot(trained.platform, decision(trained.platform)["snapshot_id"])
    fitting, holdout = split(facts, rows)
    columns = trained.platform.project.feature_set("departure").columns
    words = [name for name, kind in columns.items() if kind == "string"]
    numbers = [name for name in columns if name not in words]
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20, sparse_output=False)
    encoded = ColumnTransformer([("words", one_hot, words), ("numbers", "passthrough", numbers)])
    plain = HistGradientBoostingClassifier(**PARAMS)
    plain.fit(
        encoded.fit_transform(fitting[words + numbers]), np.array(CLASSES)[fitting["label"].astype(int)]
    )
    given = pd.DataFrame(
        plain.predict_proba(encoded.transform(holdout[words + numbers])), columns=plain.classes_
    )
    truth = np.array(CLASSES)[holdout["label"].astype(int)]
    said = plain.classes_[given.to_numpy().argmax(axis=1)]

    assert decision(trained.platform)["challenger_metrics"] == pytest.approx(
        {
            "log_loss": sk.log_loss(truth, given, labels=plain.classes_),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, said),
            "macro_f1": sk.f1_score(truth, said, average="macro"),
            "roc_auc_ovr": sk.roc_auc_score(truth, given, multi_class="ovr", labels=plain.classes_),
        },
        rel=1e-12,
    )


def test_the_script_of_the_training_comes_to_the_same_metrics(trained: Trained, tmp_path: Path) -> None:
    found = decision(trained.platform)
    facts, _ = read_snapshot(trained.platform, found["snapshot_id"])
    (tmp_path / "rows.parquet").write_bytes(trained.platform.objects.get(facts.object_key))
    row = trained.platform.warehouse.row(
        "SELECT mlflow_run_id FROM governance.versions WHERE model = %s", (MODEL,)
    )
    assert row
    script = trained.platform.registry.file(row["mlflow_run_id"], f"train_{MODEL}.py")
    (tmp_path / "train.py").write_bytes(script)
    run = subprocess.run(
        [sys.executable, "-I", "-W", "error", "train.py", "rows.parquet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == pytest.approx(found["challenger_metrics"], rel=1e-12)


def test_predictions_have_a_column_a_class_and_the_likeliest(trained: Trained) -> None:
    rows = pd.DataFrame(trained.platform.warehouse.rows(f"SELECT * FROM predictions.{MODEL}_champion"))
    each = rows[[class_column(name) for name in CLASSES]]

    assert set(rows["batch_date"]) == set(SCORED.dates)
    np.testing.assert_allclose(each.sum(axis=1), 1, atol=1e-9)
    assert (each[class_column("diverted")] == 0).all()
    assert (rows["prediction"] == np.array(CLASSES)[each.to_numpy().argmax(axis=1)]).all()
    assert rows["prediction"].nunique() > 1


def test_the_nights_are_watched_class_by_class(trained: Trained) -> None:
    night = SCORED.last
    measured = stages.measure_performance(trained.platform, MODEL, night, Try("watched"))
    stages.decide_verdict(trained.platform, MODEL, night, Try("watched"))
    page = stages.render_report(trained.platform, MODEL, night, Try("watched"))
    verdict = trained.platform.warehouse.row(
        "SELECT drift, performance FROM monitoring.verdicts WHERE model = %s AND batch_date = %s",
        (MODEL, night),
    )

    assert measured["nights_measured"] == 7
    assert verdict
    assert {each["name"] for each in verdict["drift"]["predictions"]} == set(CLASSES)
    assert verdict["performance"]["metrics"]["log_loss"] == verdict["performance"]["value"]
    assert 0 < verdict["performance"]["value"] < np.log(len(CLASSES))
    assert b"Very late (C++)" in trained.platform.objects.get(page["report"])


@pytest.mark.parametrize("classes", [[*CLASSES, "towed"], ["towed", *CLASSES[::-1]]], ids=["more", "turned"])
def test_what_nights_came_to_is_the_same_by_classes_in_another_order_and_by_one_more(
    trained: Trained, classes: list[str]
) -> None:
    """What was usual, and what is kept of nights that are not read again, is of the classes of then."""
    night, before = SCORED.last, SCORED.last - timedelta(days=1)
    changed = with_models(trained.platform, spec(target={**spec().target.model_dump(), "classes": classes}))

    def came_to(platform: Platform, at: date) -> tuple[dict[date, tuple[float, float]], float]:
        stages.measure_performance(platform, MODEL, at, Try(f"measured {at}"))
        stages.decide_verdict(platform, MODEL, at, Try(f"measured {at}"))
        losses = platform.warehouse.rows(
            "SELECT DISTINCT ON (batch_date) batch_date, losses FROM monitoring.performance_history "
            "WHERE model = %s AND arm = 'champion' ORDER BY batch_date, known_on DESC",
            (MODEL,),
        )
        verdict = platform.warehouse.row(
            "SELECT performance FROM monitoring.verdicts WHERE model = %s AND batch_date = %s", (MODEL, at)
        )
        assert verdict
        found = {row["batch_date"]: (row["losses"]["loss"], row["losses"]["base"]) for row in losses}
        return found, verdict["performance"]["value"]

    plain, value = came_to(trained.platform, night)
    trained.platform.warehouse.execute(
        "DELETE FROM monitoring.performance_history WHERE model = %s", (MODEL,)
    )
    trained.platform.warehouse.execute("DELETE FROM monitoring.outcomes WHERE model = %s", (MODEL,))
    came_to(trained.platform, before)
    losses, again = came_to(changed, night)
    assert losses.keys() == plain.keys()
    for each, (loss, base) in losses.items():
        assert (loss, base) == pytest.approx(plain[each], rel=1e-9)
    assert again == pytest.approx(value, rel=1e-9)


def test_the_card_says_the_classes_and_their_columns(trained: Trained) -> None:
    stages.write_card(trained.platform, MODEL, Try("classes"))
    card = trained.platform.objects.get(f"cards/{MODEL}/{trained.version}/card.md").decode()

    assert "multiclass" in card
    assert class_column("Very late (C++)").replace("_", "\\_") in card or class_column("early") in card
    assert "balanced" in card


def test_a_version_of_several_classes_is_made_again_to_the_bit(trained: Trained) -> None:
    again = stages.reproduce(trained.platform, MODEL, None, Try("again"), reason="a test")

    assert again["equal"], again
    assert again["version"] == trained.version


def test_a_second_training_is_judged_against_the_champion_and_compared_with_it(trained: Trained) -> None:
    gates = spec().model_dump(by_alias=True)["gates"]
    other = spec(
        estimator={
            "class": "sklearn.linear_model.LogisticRegression",
            "params": {"max_iter": 1000, "C": 0.1},
        },
        gates=gates,
    )
    platform = with_models(trained.platform, other)
    judged(platform, MODEL, date(2013, 2, 6), "second")
    found = decision(platform, "second")
    report = stages.compare_versions(platform, MODEL, None, None)

    assert set(found["champion_metrics"]) == {"log_loss", "balanced_accuracy", "macro_f1", "roc_auc_ovr"}
    assert set(found["evaluation"]["gains"]) == set(found["champion_metrics"])
    assert "roc\\_auc\\_ovr" in report or "roc_auc_ovr" in report


def test_a_class_that_the_spec_has_lost_is_refused_not_misplaced(trained: Trained) -> None:
    fewer = spec(target={**spec().target.model_dump(), "classes": CLASSES[:3], "other_values": "unlabelled"})
    with pytest.raises(SchemaMismatch, match=r"knows the class 'Very late \(C\+\+\)'"):
        stages.score(with_models(trained.platform, fewer), MODEL, DateRange(LAST, LAST), Try("fewer"))


def test_classes_in_another_order_mean_the_same_tonight_and_another_snapshot(trained: Trained) -> None:
    turned = spec(target={**spec().target.model_dump(), "classes": CLASSES[::-1]})
    platform = with_models(trained.platform, turned)
    night = DateRange(SCORED.last, SCORED.last)
    statement = f"SELECT * FROM predictions.{MODEL} WHERE batch_date = %s ORDER BY flight_id"
    # Without the column of a class that another spec has had.
    before = pd.DataFrame(platform.warehouse.rows(statement, (night.first,))).dropna(
        axis="columns", how="all"
    )
    stages.score(platform, MODEL, night, Try("turned"))
    after = pd.DataFrame(platform.warehouse.rows(statement, (night.first,)))

    pd.testing.assert_frame_equal(after[before.columns].drop(columns="run_id"), before.drop(columns="run_id"))
    with pytest.raises(NotReady, match="its labels mean others"):
        read_snapshot(platform, decision(platform)["snapshot_id"], turned)


def test_outcomes_that_are_no_class_end_the_training_by_name(trained: Trained) -> None:
    fewer = spec(target={**spec().target.model_dump(), "classes": ["early", "on time"]})
    with pytest.raises(SpecError, match=r"'late' \(\d+ rows\), 'Very late \(C\+\+\)' \(\d+ rows\)"):
        stages.snapshot(with_models(trained.platform, fewer), MODEL, AS_OF, Try("refused"))


def test_a_holdout_of_one_class_is_refused_before_a_run_begins(trained: Trained) -> None:
    target = {**spec().target.model_dump(), "classes": None, "equals": "no such outcome"}
    never = spec("never", target=target, gates=BINARY_GATES, performance=None)
    with pytest.raises(NotReady) as refused:
        stages.snapshot(with_models(trained.platform, never), "never", AS_OF, Try("never"))
    words = str(refused.value)
    assert "model 'never': all" in words
    assert "2013-01-06..2013-01-19" in words
    assert 'outcomes.outcome = "no such outcome": False' in words
    assert "key 'target.equals'" in words


def test_a_value_that_occurs_in_another_case_is_told_before_a_run_begins(trained: Trained) -> None:
    target = {**spec().target.model_dump(), "classes": None, "equals": "On time"}
    otherwise = spec("otherwise", target=target, gates=BINARY_GATES, performance=None)
    told = (
        r"key 'target\.equals': 'On time' is in 0 of \d+ rows of column 'outcome'.*Did you mean 'on time'\?"
    )
    with pytest.raises(SpecError, match=told):
        stages.snapshot(with_models(trained.platform, otherwise), "otherwise", AS_OF, Try("otherwise"))


@pytest.mark.slow
def test_a_feature_that_is_the_answer_stops_at_a_gate_that_names_it(trained: Trained) -> None:
    target = {"source": "outcomes", "column": "airport", "equals": "EWR", "matures_after_days": 2}
    leak = spec("leak", target=target, gates=BINARY_GATES, performance=None)
    decided = judged(with_models(trained.platform, leak), "leak", AS_OF, "leak")
    words = next(words for words in decided["gates"] if words.startswith("credible"))

    assert not decided["passed"]
    assert "too good to be true; alone as good: origin (1.0000)" in words
    assert "near_perfect" in words
    why = "The airport is where the flight is planned to start; we test the pipeline with it."
    expected = leak.model_copy(update={"name": "expected"})
    expected = Model.model_validate({**expected.model_dump(by_alias=True), "near_perfect": {"reason": why}})
    platform = with_models(trained.platform, expected)
    decided = judged(platform, "expected", AS_OF, "expected")
    stages.write_card(platform, "expected", Try("expected"))
    card = platform.objects.get(f"cards/expected/{decided['version']}/card.html").decode()

    assert decided["passed"], decided["gates"]
    assert any(why in gate["words"] for gate in decision(platform, "expected")["gates"])
    assert why in card


def test_a_class_that_is_declared_later_has_its_column_night_after_night(trained: Trained) -> None:
    more = spec(target={**spec().target.model_dump(), "classes": [*CLASSES, "towed"]})
    night = DateRange(SCORED.last, SCORED.last)
    for run in ("more", "again"):
        stages.score(with_models(trained.platform, more), MODEL, night, Try(run))
    statement = (
        f"SELECT batch_date = %s AS scored, min(p_towed), max(p_towed) FROM predictions.{MODEL} GROUP BY 1"
    )
    found = trained.platform.warehouse.rows(statement, (night.first,))
    assert {row["scored"]: (row["min"], row["max"]) for row in found} == {
        True: (0.0, 0.0),
        False: (None, None),
    }


def test_each_class_is_moved_by_an_offset_of_its_own_and_probabilities_still_sum_to_one(
    trained: Trained,
) -> None:
    moved = with_models(trained.platform, spec(recalibrate={"window_days": 7}))
    night, columns = DateRange(LAST, LAST), [class_column(name) for name in CLASSES]
    found = []
    for platform in (trained.platform, moved, moved):
        stages.score(platform, MODEL, night, Try("moved"))
        rows = platform.warehouse.rows(
            f"SELECT * FROM predictions.{MODEL} WHERE batch_date = %s ORDER BY flight_id", (LAST,)
        )
        found.append(pd.DataFrame(rows))
    plain, served, again = found
    pd.testing.assert_frame_equal(served, again)
    kept = moved.warehouse.row(
        f"SELECT recalibration FROM catalog.prediction_batches WHERE model = '{MODEL}' AND batch_date = %s",
        (LAST,),
    )
    assert kept
    by = kept["recalibration"]["offsets"]
    assert set(by) == set(CLASSES)
    assert len({round(value, 3) for value in by.values()}) > 2
    odds = plain[columns].to_numpy() * np.exp([by[name] for name in CLASSES])
    expected = odds / odds.sum(axis=1, keepdims=True)
    assert np.abs(served[columns].to_numpy() - expected).max() < 1e-12
    assert (served["prediction"] == np.array(CLASSES)[served[columns].to_numpy().argmax(axis=1)]).all()
    assert (plain["prediction"] != served["prediction"]).any()
