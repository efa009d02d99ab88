"""Score: the champion of the night, resolved once, over the night's features; one partition replaced."""

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

import pandas as pd

from nightshift import artifacts, metrics, train
from nightshift import score as scoring
from nightshift.calendar import DateRange
from nightshift.errors import ArtifactRefused, NotReady
from nightshift.govern import Ledger
from nightshift.score import CHAMPION_ARM, Predict
from nightshift.specs import FeatureSet, Model, Own
from nightshift.stages.clock import require_same_clock
from nightshift.stages.lineage import feature_contents
from nightshift.stages.platform import Facts, Platform, Try
from nightshift.warehouse import Reading, Table, feature_table, prediction_table, raw_table

FILE = (
    "INSERT INTO catalog.prediction_batches (model, batch_date, model_version, row_count, run_id, feature_set, "
    "feature_version, features_sha256) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
    "ON CONFLICT (model, batch_date) DO UPDATE SET (model_version, row_count, run_id, feature_set, "
    "feature_version, features_sha256, scored_at) = (excluded.model_version, excluded.row_count, excluded.run_id, "
    "excluded.feature_set, excluded.feature_version, excluded.features_sha256, clock_timestamp())"
)


def score(platform: Platform, name: str, nights: DateRange, asked: Try) -> Facts:
    """Replace the predictions of each night by those of its champion.

    A past night is scored by the version that was champion then: the same rows come out again.

    Raises:
        LedgerMismatch: the registry's alias is not what the ledger says.
        NotReady: no champion, or no features, for one of the nights.
        ArtifactRefused: the model file is not the one that was promoted.
    """
    require_same_clock(platform)
    model = platform.project.model(name)
    feature_set = platform.project.feature_set(model.features)
    table = prediction_table(model, feature_set)
    ensure_predictions(platform, table)
    lease = platform.warehouse.lease(table, nights.dates, asked.holder)
    ledger = Ledger(platform.warehouse, name)
    ledger.check(platform.registry.champion(name))
    platform.warehouse.ensure(feature_table(feature_set))
    with platform.warehouse.reading() as reading:
        features = read_features(reading, platform, model, nights)
        contents = feature_contents(reading, feature_set, nights)
    loaded = cache(lambda version: load_version(platform, model, version))  # once for all its nights
    parts = []
    for batch_date in nights.dates:
        version = ledger.champion_on(batch_date).version
        rows = features[features["batch_date"] == pd.Timestamp(batch_date)]
        predicted = scoring.score(rows, loaded(version), feature_set.entity, model.classes)
        parts.append(predicted.assign(model_version=version))
    predictions = pd.concat(parts, ignore_index=True).assign(
        arm=CHAMPION_ARM, run_id=asked.run_id, feature_version=feature_set.version
    )
    with platform.warehouse.write(lease) as write:
        write.replace(table, predictions, arm=CHAMPION_ARM)
        for row in _batch_rows(name, feature_set, predictions, contents, asked):
            write.execute(FILE, row)
    versions = sorted({int(version) for version in predictions["model_version"]})
    by = {"version": versions[0]} if len(versions) == 1 else {"versions": versions}
    return {"model": name, "nights": str(nights), "rows": len(predictions), **by}


def compare(
    platform: Platform, name: str, versions: list[int], nights: DateRange, *, as_of: date
) -> list[Facts]:
    """Return, a version, its metrics on ``nights``: scored now, by labels known at the cut-off of ``as_of``.

    Writes nothing. Also for versions that never served these nights.
    """
    model = platform.project.model(name)
    entity = platform.project.feature_set(model.features).entity
    truth = read_labels(platform, model, nights.first, as_of)
    platform.warehouse.ensure(feature_table(platform.project.feature_set(model.features)))
    with platform.warehouse.reading() as reading:
        rows = train.labelled(read_features(reading, platform, model, nights), truth, entity)
    return [
        {
            "version": version,
            "labels": len(rows),
            "metrics": metrics.score(model.kind, rows["label"], load_version(platform, model, version)(rows)),
        }
        for version in versions
    ]


def ensure_predictions(platform: Platform, table: Table) -> None:
    """Create the model's table and the view its consumers read: the champion's rows only."""
    platform.warehouse.ensure(table)
    platform.warehouse.ensure_view(table, CHAMPION_ARM)


def load_version(
    platform: Platform, model: Model, version: int, classes: Sequence[str] | None = None
) -> Predict:
    """Return the prediction function of a registered version. Raises as :func:`load_pipeline`.

    ``classes``: whose probabilities it gives, in their order; None: those that the spec declares.
    """
    pipeline, of = load_pipeline(platform, model, version), model.classes if classes is None else classes
    return lambda rows: train.predict(pipeline, rows, of)


def load_pipeline(platform: Platform, model: Model, version: int) -> Any:
    """Return a registered version as it was fitted, its file checked against the ledger's hash.

    Raises:
        NotReady: no such version.
        ArtifactRefused: the file is not what was registered.
    """
    row = platform.warehouse.row(
        "SELECT mlflow_run_id, artifact_sha256, own_code FROM governance.versions WHERE model = %s AND version = %s",
        (model.name, version),
    )
    if row is None:
        raise NotReady(f"model '{model.name}' has no version {version}")
    content = platform.registry.model_bytes(row["mlflow_run_id"])
    what = f"model '{model.name}', version {version}"
    return opened(platform, content, row["artifact_sha256"], row["own_code"], what)


def opened(platform: Platform, content: bytes, sha256: str, code: Facts | None, what: str) -> Any:
    """Return the pipeline in a model file. ``code``: of the project, as it was recorded.

    Raises:
        ArtifactRefused: it is not the file that was registered, or the code behind it is another.
    """
    artifacts.check_sha256(content, sha256, "model artifact")
    own = platform.project.own
    require_same_code(what, own, content, code or {})
    with own.importable():
        return artifacts.load(content, sha256, own.types)


def own_code(own: Own, content: bytes) -> dict[str, str]:
    """Return the hash of each module of the project that opening a model file would run."""
    return own.code(artifacts.types(content) & set(own.types)) if own.types else {}


def require_same_code(what: str, own: Own, content: bytes, recorded: Facts) -> None:
    """Raise ArtifactRefused if the code behind a file's own types is another than the version was made with."""
    for module, digest in own_code(own, content).items():
        if recorded.get(module) != digest:
            raise ArtifactRefused(
                f"{what}: {own.file(module)} has sha256 {digest}, {recorded.get(module, 'none')} was recorded: it "
                "might predict otherwise. Put the file back, and give what has changed another name; or train again"
            )


def read_features(reading: Reading, platform: Platform, model: Model, nights: DateRange) -> pd.DataFrame:
    """Return the model's feature rows of ``nights``. Raises NotReady naming the nights that have none."""
    table = feature_table(platform.project.feature_set(model.features))
    features = reading.read(table, nights.first, nights.last)
    missing = sorted(set(nights.dates) - set(features["batch_date"].dt.date))
    if missing:
        raise NotReady(
            f"feature set '{model.features}' has no partition for {missing[0]}"
            f"{f' and {len(missing) - 1} more nights' if missing[1:] else ''}; run features_{model.features} for it"
        )
    return features


def read_labels(platform: Platform, model: Model, first: date, as_of: date) -> pd.DataFrame:
    """Return the labels of entities of ``first`` .. ``as_of`` as they were known at the cut-off of ``as_of``."""
    platform.warehouse.ensure(raw_table(platform.project.source(model.truth.source)))
    with platform.warehouse.reading() as reading:
        return known_labels(reading, platform, model, first, as_of)[0]


def known_labels(
    reading: Reading, platform: Platform, model: Model, first: date, as_of: date
) -> tuple[pd.DataFrame, set[date]]:
    """Return the same labels, and the batches of the target's source that had reports by then."""
    truth = reading.read(raw_table(platform.project.source(model.truth.source)), first, as_of)
    known_by = pd.Timestamp(platform.project.calendar.cutoff(as_of))
    entity = platform.project.feature_set(model.features).entity
    reported = set(truth.loc[truth["known_at"] <= known_by, "batch_date"].dt.date)
    return train.labels(model, truth, entity, known_by), reported


def _batch_rows(
    name: str, spec: FeatureSet, predictions: pd.DataFrame, contents: dict[date, str], asked: Try
) -> list[tuple[object, ...]]:
    counted = predictions.groupby("batch_date")["model_version"].agg(["first", "size"])
    of = (asked.run_id, spec.set, spec.version)
    return [
        (name, night, int(c["first"]), int(c["size"]), *of, contents.get(night))
        for night, c in zip(pd.DatetimeIndex(counted.index).date, counted.to_dict("records"), strict=True)
    ]
