"""Score: the champion of the night, resolved once, over the night's features; one partition replaced."""

from datetime import date

import pandas as pd

from nightshift import artifacts, metrics, train
from nightshift import score as scoring
from nightshift.calendar import DateRange
from nightshift.errors import NotReady
from nightshift.govern import Ledger
from nightshift.score import CHAMPION_ARM, Predict
from nightshift.specs import Model
from nightshift.stages.platform import Facts, Platform, Try
from nightshift.warehouse import Table, feature_table, prediction_table, raw_table

FILE = (
    "INSERT INTO catalog.prediction_batches (model, batch_date, model_version, row_count, run_id) "
    "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (model, batch_date) DO UPDATE SET (model_version, row_count, "
    "run_id, scored_at) = (excluded.model_version, excluded.row_count, excluded.run_id, clock_timestamp())"
)


def score(platform: Platform, name: str, nights: DateRange, asked: Try) -> Facts:
    """Replace the predictions of each night by those of its champion.

    A past night is scored by the version that was champion then: the same rows come out again.

    Raises:
        LedgerMismatch: the registry's alias is not what the ledger says.
        NotReady: no champion, or no features, for one of the nights.
        ArtifactRefused: the model file is not the one that was promoted.
    """
    model = platform.project.model(name)
    feature_set = platform.project.feature_set(model.features)
    table = prediction_table(model, feature_set)
    ensure_predictions(platform, table)
    lease = platform.warehouse.lease(table, nights.dates, asked.holder)
    ledger = Ledger(platform.warehouse, name)
    ledger.check(platform.registry.champion(name))
    features = read_features(platform, model, nights)
    parts = []
    for batch_date in nights.dates:
        version = ledger.champion_on(batch_date).version
        rows = features[features["batch_date"] == batch_date]
        predicted = scoring.score(rows, load_version(platform, model, version), feature_set.entity)
        parts.append(predicted.assign(model_version=version))
    predictions = pd.concat(parts, ignore_index=True).assign(
        arm=CHAMPION_ARM, run_id=asked.run_id, feature_version=feature_set.version
    )
    with platform.warehouse.write(lease) as write:
        write.replace(table, predictions, arm=CHAMPION_ARM)
    _record(platform, name, predictions, asked)
    return {
        "model": name,
        "nights": str(nights),
        "rows": len(predictions),
        "version": int(parts[-1]["model_version"].iloc[0]),
    }


def compare(
    platform: Platform, name: str, versions: list[int], nights: DateRange, *, as_of: date
) -> list[Facts]:
    """Return, a version, its metrics on ``nights``: scored now, by labels known at the cut-off of ``as_of``.

    Writes nothing. Also for versions that never served these nights.
    """
    model = platform.project.model(name)
    entity = platform.project.feature_set(model.features).entity
    truth = read_labels(platform, model, nights.first, as_of)
    rows = train.labelled(read_features(platform, model, nights), truth, entity)
    return [
        {
            "version": version,
            "labels": len(rows),
            "metrics": metrics.score(model.task, rows["label"], load_version(platform, model, version)(rows)),
        }
        for version in versions
    ]


def ensure_predictions(platform: Platform, table: Table) -> None:
    """Create the model's table and the view its consumers read: the champion's rows only."""
    platform.warehouse.ensure(table)
    platform.warehouse.ensure_view(table, f"{table.name}_champion", arm=CHAMPION_ARM)


def load_version(platform: Platform, model: Model, version: int) -> Predict:
    """Return the prediction function of a registered version, its file checked against the ledger's hash.

    Raises:
        NotReady: no such version.
        ArtifactRefused: the file is not what was registered.
    """
    row = platform.warehouse.row(
        "SELECT mlflow_run_id, artifact_sha256 FROM governance.versions WHERE model = %s AND version = %s",
        (model.name, version),
    )
    if row is None:
        raise NotReady(f"model '{model.name}' has no version {version}")
    content = platform.registry.model_bytes(row["mlflow_run_id"])
    pipeline = artifacts.load(content, row["artifact_sha256"])
    return lambda rows: train.predict(pipeline, rows)


def read_features(platform: Platform, model: Model, nights: DateRange) -> pd.DataFrame:
    """Return the model's feature rows of ``nights``. Raises NotReady naming the nights that have none."""
    table = feature_table(platform.project.feature_set(model.features))
    platform.warehouse.ensure(table)
    features = platform.warehouse.read(table, nights.first, nights.last)
    missing = sorted(set(nights.dates) - set(features["batch_date"].unique()))
    if missing:
        raise NotReady(
            f"feature set '{model.features}' has no partition for {missing[0]}"
            f"{f' and {len(missing) - 1} more nights' if missing[1:] else ''}; run features_{model.features} for it"
        )
    return features


def read_labels(platform: Platform, model: Model, first: date, as_of: date) -> pd.DataFrame:
    """Return the labels of entities of ``first`` .. ``as_of`` as they were known at the cut-off of ``as_of``."""
    table = raw_table(platform.project.source(model.target.source))
    platform.warehouse.ensure(table)
    entity = platform.project.feature_set(model.features).entity
    truth = platform.warehouse.read(table, first, as_of)
    return train.labels(model, truth, entity, pd.Timestamp(platform.project.calendar.cutoff(as_of)))


def _record(platform: Platform, name: str, predictions: pd.DataFrame, asked: Try) -> None:
    counted = predictions.groupby("batch_date")["model_version"].agg(["first", "size"])
    rows = [(name, night, int(c["first"]), int(c["size"]), asked.run_id) for night, c in counted.iterrows()]
    with platform.warehouse.transaction() as cursor:
        cursor.executemany(FILE, rows)
