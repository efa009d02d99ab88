"""A fitted model is brought, judged as any other on days later than its own, and promoted by gates and people only."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nightshift import artifacts, stages
from nightshift.calendar import DateRange
from nightshift.errors import ArtifactRefused, FitFailed, NotReady, RequestError, SpecError, UnfairHoldout
from nightshift.objects import Objects
from nightshift.platform.seen import by_champion
from nightshift.registry import Registry
from nightshift.specs import load_project
from nightshift.stages import Answer, Platform, Try
from nightshift.warehouse import Json, feature_table, raw_table

pytestmark = pytest.mark.integration

FIRST, AS_OF, NIGHTS, A_NIGHT = date(2013, 1, 1), date(2013, 2, 10), 40, 40
UNTIL = date(2013, 1, 25)  # before the holdout of a week
SOURCE = {
    "owner": "me",
    "description": "What came of it.",
    "connector": {"kind": "files", "connection": "none", "path": "{date}.csv", "format": "csv"},
    "key": ["id"],
    "columns": {"id": {"type": "string"}, "y": {"type": "float", "nullable": True}},
    "expectations": [{"expect_column_values_to_be_between": {"column": "y", "min_value": -100}}],
}
MODEL = {
    "owner": "me",
    "description": "A toy.",
    "task": "classification",
    "features": "brought",
    "target": {"source": "brought_truth", "column": "y", "above": 0},
    "train": {"window_days": 20, "holdout_days": 7, "min_rows": 100},
    "gates": [
        {"gate": "minimum_score", "metric": "roc_auc", "value": 0.6},
        {"gate": "beats_champion", "metric": "log_loss"},
    ],
}
UNLABELLED = {
    **{key: MODEL[key] for key in ("owner", "description", "task", "features", "train")},
    "gates": [{"gate": "size", "megabytes": 5}],
    "approval": "required",
    "approvers": ["olga"],
}
FEATURES = '''"""A toy."""

FEATURES = {
    "owner": "me", "version": 1, "entity": ["id"], "inputs": {"brought_truth": {"look_back_days": 3}},
    "columns": {"a": "float", "c": "integer", "word": "string"},
}


def build(inputs, batch_date):
    return None
'''


def rows() -> pd.DataFrame:
    random, n = np.random.default_rng(0), NIGHTS * A_NIGHT
    made = pd.DataFrame({"id": np.arange(n).astype(str), "a": random.normal(size=n)})
    made["c"], made["word"] = random.integers(0, 9, n), random.choice(["x", "y"], n)
    made["batch_date"] = np.repeat([FIRST + timedelta(days=day) for day in range(NIGHTS)], A_NIGHT)
    made["y"] = made["a"] + random.normal(size=n)
    return made


def fitted(before: date, *, wrongly: bool = False) -> object:
    """Return what somebody made elsewhere of the numbers and the word, of days up to ``before``.

    ``wrongly``: of the opposite of what is true.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder

    known = rows()[lambda frame: frame["batch_date"] <= before]
    columns = ColumnTransformer(
        [("word", OneHotEncoder(handle_unknown="ignore"), ["word"])], remainder=StandardScaler()
    )
    return make_pipeline(columns, LogisticRegression()).fit(
        known[["word", "a", "c"]], ((known["y"] > 0) != wrongly).astype(int)
    )


@pytest.fixture
def platform(warehouse, mlflow_url: str, tmp_path: Path) -> Platform:
    """Return forty nights of features and truth, and two models on them: with labels, and without."""
    folder = tmp_path / "include"
    for kind in ("sources", "features", "models"):
        (folder / kind).mkdir(parents=True)
    (folder / "project.yaml").write_text(f"first_night: {FIRST}\n")
    (folder / "sources" / "brought_truth.yaml").write_text(yaml.safe_dump(SOURCE))
    (folder / "features" / "brought.py").write_text(FEATURES)
    (folder / "models" / "brought_labelled.yaml").write_text(yaml.safe_dump(MODEL))
    (folder / "models" / "brought_unlabelled.yaml").write_text(yaml.safe_dump(UNLABELLED))
    project = load_project(folder).require_sound()
    made = rows()
    known_at = pd.to_datetime(made["batch_date"]).dt.tz_localize("UTC")
    entity = ["batch_date", "id"]
    tables = (
        (feature_table(project.feature_set("brought")), made[[*entity, "a", "c", "word"]]),
        (raw_table(project.source("brought_truth")), made[[*entity, "y"]].assign(known_at=known_at)),
    )
    for table, frame in tables:
        warehouse.ensure(table)
        with warehouse.write(warehouse.lease(table, sorted(set(frame["batch_date"])), "test")) as write:
            write.replace(table, frame)
    return Platform(
        project, warehouse, Registry(mlflow_url), Objects(str(tmp_path / "objects")), lambda name: None
    )


def brought(platform: Platform, name: str, content: bytes, run_id: str, until: date = UNTIL) -> dict:
    asked = Try(run_id)
    frozen = stages.snapshot(platform, name, AS_OF, asked)
    return stages.take_over(
        platform,
        name,
        frozen["snapshot_id"],
        asked,
        file=stages.receive(platform, name, content),
        trained_until=until,
        reason="from the notebook",
        actor="vic",
    )


def test_a_file_becomes_a_version_of_its_own_hash_and_is_judged_on_later_days(
    platform: Platform, tmp_path: Path
) -> None:
    name, content, asked = "brought_labelled", skops.io.dumps(fitted(UNTIL)), Try(f"import_{tmp_path.name}")
    version = brought(platform, name, content, asked.run_id)
    assert brought(platform, name, content, asked.run_id) == version, "a retry finds it"
    row = platform.warehouse.row("SELECT * FROM governance.versions")
    assert row["artifact_sha256"] == artifacts.seal(content) == row["brought"]["file_sha256"]
    assert (row["train_last"], row["brought"]["by"]) == (UNTIL, "vic")
    assert platform.registry.model_bytes(row["mlflow_run_id"], row["artifact_sha256"]) == content
    decided = stages.evaluate(platform, name, AS_OF, asked, reason="import")
    assert decided["passed"], decided["gates"]
    assert stages.promote(platform, name, AS_OF, asked, actor="vic")["outcome"] == "promoted"
    card = platform.objects.get(stages.write_card(platform, name, asked)["card"]).decode()
    assert "so said vic, who brought it" in card
    with pytest.raises(NotReady, match="was brought by vic: there is nothing to train again"):
        stages.reproduce(platform, name, row["version"], Try("again"), reason="test")
    declared = platform.project.model(name).model_dump(by_alias=True)
    declared["estimator"] = {"class": "sklearn.linear_model.LogisticRegression", "params": {}}
    trains = type(platform.project.model(name)).model_validate(declared)
    platform = replace(platform, project=platform.project.model_copy(update={"models": {name: trains}}))
    again, later = Try(f"trained_{tmp_path.name}"), AS_OF
    frozen = stages.snapshot(platform, name, later, again)
    stages.fit(platform, name, frozen["snapshot_id"], again, reason="test")
    judged = stages.evaluate(platform, name, later, again, reason="test")
    assert judged["champion"] == row["version"], "what is trained must beat what was brought"


def test_an_imported_version_is_known_by_its_file_and_its_own_last_day(
    platform: Platform, tmp_path: Path
) -> None:
    """Not by snapshot and spec: they say what it was judged on, not what it was made of."""
    name, early = "brought_labelled", UNTIL - timedelta(days=10)
    first, corrected = (
        brought(platform, name, skops.io.dumps(fitted(until)), f"{until}_{tmp_path.name}", until)["version"]
        for until in (UNTIL, early)
    )
    platform.warehouse.execute(
        "INSERT INTO governance.bars (model, version, barred, reason, actor, request_id) "
        "VALUES (%s, %s, true, 'wrong', 'vic', 'r')",
        (name, first),
    )
    barred = [
        platform.warehouse.rows("SELECT version FROM governance.bars_on(%s, %s)", (name, version))
        for version in (first, corrected)
    ]
    assert barred == [[{"version": first}], []]
    seen = rows().assign(batch_date=lambda frame: pd.to_datetime(frame["batch_date"]))
    later = seen[seen["batch_date"] > pd.Timestamp(early)]
    champion = by_champion(platform, platform.project.model(name), corrected, later)
    assert (champion.train_last, champion.overlap) == (early, 0), "it has seen none of these"


def test_a_champion_is_on_probation_against_a_version_that_was_brought(
    platform: Platform, tmp_path: Path
) -> None:
    """What was usual in its training is not known; what it loses on the nights that both score is."""
    name, since, last = "brought_labelled", date(2013, 2, 1), FIRST + timedelta(days=NIGHTS - 1)
    good, bad = (f"{each}_{tmp_path.name}" for each in ("good", "bad"))
    first = brought(platform, name, skops.io.dumps(fitted(UNTIL)), good)["version"]
    assert stages.evaluate(platform, name, AS_OF, Try(good), reason="import")["passed"]
    stages.promote(platform, name, since - timedelta(days=1), Try(good), actor="vic")
    brought(platform, name, skops.io.dumps(fitted(UNTIL, wrongly=True)), bad)
    assert not stages.evaluate(platform, name, AS_OF, Try(bad), reason="import")["passed"]
    forced = {"training_id": f"{bad}, forced", "passed": True, "gates": []}
    platform.warehouse.execute(
        "INSERT INTO governance.decisions SELECT (jsonb_populate_record(d, %s)).* FROM governance.decisions d "
        "WHERE training_id = %s",
        (Json(forced), bad),
    )
    stages.promote(platform, name, since, Try(f"{bad}, forced"), actor="vic")
    nights = DateRange(since, last)
    stages.score(platform, name, nights, Try("nights"))
    stages.score_beside(platform, name, nights, Try("beside"))
    stages.measure_performance(platform, name, last, Try("night"))
    answer = stages.judge_probation(platform, name, last, Try("night"))
    assert (answer["roll_back"], answer.get("version")) == (True, first), answer

    platform.warehouse.execute(
        "UPDATE monitoring.performance_history SET losses = NULL WHERE model_version = %s", (first,)
    )
    answer = stages.judge_probation(platform, name, last, Try("night"))
    assert not answer["roll_back"]
    assert f"version {first} has no losses to compare with; evidence" in answer["reason"]


def test_what_may_not_be_imported_registers_nothing(platform: Platform) -> None:
    name, content = "brought_labelled", skops.io.dumps(fitted(UNTIL))
    with pytest.raises(
        UnfairHoldout, match="until 2013-02-05; the holdout as of 2013-02-10 starts on 2013-02-03"
    ):
        brought(platform, name, content, "import_2", date(2013, 2, 5))
    with pytest.raises(RequestError, match="is not before 2013-02-10"):
        brought(platform, name, content, "import_2", AS_OF)
    known = rows()
    numbers, label = known[["a", "c"]], (known["y"] > 0).astype(int)
    for held, error, says in (
        (
            LogisticRegression().fit(numbers, label),
            FitFailed,
            "it was not fitted on word of feature set 'brought'",
        ),
        (LogisticRegression(), FitFailed, "is not fitted"),
        (Ridge().fit(numbers, label), SpecError, "Ridge is no estimator for classification"),
        (make_pipeline(LogisticRegression()).fit(numbers.to_numpy(), label), FitFailed, "by name"),
        (
            LogisticRegression().fit(numbers.rename(columns={"a": "aa"}), label),
            FitFailed,
            "aa, which feature set",
        ),
        ({"path": Path("/")}, ArtifactRefused, "not allowed"),
    ):
        with pytest.raises(error, match=says):
            stages.receive(platform, name, skops.io.dumps(held))
    with pytest.raises(RequestError, match="is not trained here; bring a version: nightshift import"):
        stages.fit(platform, name, "none", Try("fit"), reason="test")
    assert not platform.warehouse.rows("SELECT 1 FROM governance.versions")


def test_a_model_without_labels_is_imported_signed_scored_and_watched(
    platform: Platform, tmp_path: Path
) -> None:
    name, content, asked = "brought_unlabelled", skops.io.dumps(fitted(UNTIL)), Try(f"import_{tmp_path.name}")
    version = brought(platform, name, content, asked.run_id)["version"]
    decided = stages.evaluate(platform, name, AS_OF, asked, reason="import")
    assert decided["passed"], decided["gates"]
    judges = {gate.partition(":")[0] for gate in decided["gates"]}
    assert {"size", "smoke", "stable_features"} <= judges
    assert not {"minimum_score", "beats_champion"} & judges
    with pytest.raises(NotReady, match="is not signed"):
        stages.promote(platform, name, AS_OF, asked, actor="vic")
    to_sign = stages.ask_for_signature(platform, name, asked, airflow_run="http://a/r", page=str)
    assert "Nothing was measured: there are no labels." in (to_sign or {})["body"]
    stages.sign(platform, name, asked, Answer(True, "olga", "", datetime.now(UTC)))
    night = FIRST + timedelta(days=NIGHTS - 1)
    assert stages.promote(platform, name, night, asked, actor="vic")["outcome"] == "promoted"
    assert stages.score(platform, name, DateRange(night, night), asked)["version"] == version
    measured = stages.measure_performance(platform, name, night, asked)
    assert measured["reason"] == "no labels: the model has no target"
    assert stages.decide_verdict(platform, name, night, asked)["status"]
    card = platform.objects.get(stages.write_card(platform, name, asked)["card"]).decode()
    assert "Nothing was measured: there are no labels." in card


def test_an_entity_without_labels_may_have_features_on_every_night(platform: Platform) -> None:
    """A shop, a customer: the same ones each night, on those that a version was trained on and on those held out."""
    spec = platform.project.feature_set("brought")
    made = rows()
    again = made.assign(id=(np.arange(len(made)) % A_NIGHT).astype(str))[["batch_date", "id", *spec.columns]]
    lease = platform.warehouse.lease(feature_table(spec), sorted(set(made["batch_date"])), "again")
    with platform.warehouse.write(lease) as write:
        write.replace(feature_table(spec), again)
    name, olga = "brought_unlabelled", Answer(True, "olga", "", datetime.now(UTC))
    for night, wrongly in ((AS_OF - timedelta(days=1), False), (AS_OF, True)):
        content, asked = skops.io.dumps(fitted(UNTIL, wrongly=wrongly)), Try(f"again_{night}")
        brought(platform, name, content, asked.run_id)
        assert stages.evaluate(platform, name, night, asked, reason="import")["passed"]
        stages.sign(platform, name, asked, olga)
        assert stages.promote(platform, name, night, asked, actor="vic")["outcome"] == "promoted"


def test_labels_that_meet_no_features_are_told_as_each_spells_the_entity(platform: Platform) -> None:
    table, made = raw_table(platform.project.source("brought_truth")), rows()
    known_at = pd.to_datetime(made["batch_date"]).dt.tz_localize("UTC")
    padded = made[["batch_date", "y"]].assign(id=made["id"].str.zfill(9), known_at=known_at)
    lease = platform.warehouse.lease(table, sorted(set(made["batch_date"])), "padded")
    with platform.warehouse.write(lease) as write:
        write.replace(table, padded)
    with pytest.raises(
        NotReady, match=r"none of \d+ labels .*: labels are of id '0{5}\d{4}', features of id '\d{1,4}'"
    ):
        stages.snapshot(platform, "brought_labelled", AS_OF, Try("padded"))
