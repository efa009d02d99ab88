"""Monitor: realised performance once labels are in, drift on every row, one verdict a night, one report."""

from datetime import date, timedelta
from typing import Any

import pandas as pd

from nightshift import metrics
from nightshift.calendar import DateRange
from nightshift.errors import NotReady
from nightshift.monitor.drift import DriftResult, decide
from nightshift.monitor.performance import PerformanceResult, assess
from nightshift.monitor.profile import Profile
from nightshift.monitor.verdict import decide_night
from nightshift.score import CHAMPION_ARM, predicted
from nightshift.specs import Model
from nightshift.stages.platform import Facts, Platform, Try
from nightshift.stages.scoring import load_version, read_labels
from nightshift.stages.training import read_snapshot, split
from nightshift.warehouse import Json, feature_table, prediction_table

MEASURED = (
    "INSERT INTO monitoring.performance (model, batch_date, model_version, scored, labelled, metrics, known_on) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (model, batch_date) DO UPDATE SET (model_version, scored, "
    "labelled, metrics, known_on) = (excluded.model_version, excluded.scored, excluded.labelled, "
    "excluded.metrics, excluded.known_on) WHERE monitoring.performance.known_on <= excluded.known_on"
)
DECIDED = (
    "INSERT INTO monitoring.verdicts (model, batch_date, model_version, status, breach, retrain, reason, drift, "
    "performance, run_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
    "ON CONFLICT (model, batch_date) DO UPDATE SET (model_version, status, breach, retrain, reason, drift, "
    "performance, run_id, decided_at) = (excluded.model_version, excluded.status, excluded.breach, "
    "excluded.retrain, excluded.reason, excluded.drift, excluded.performance, excluded.run_id, clock_timestamp())"
)


def measure_performance(platform: Platform, name: str, batch_date: date, asked: Try) -> Facts:
    """Measure what came of past predictions whose labels have matured by the cut-off of ``batch_date``.

    The whole performance window is measured again: late and corrected labels change past days, and only
    those. Nights whose labels are immature have no row: pending is not zero.
    """
    model = platform.project.model(name)
    if model.target is None:
        return {
            "model": name,
            "nights_measured": 0,
            "labels": 0,
            "reason": "no labels: the model has no target",
        }
    judged = _outcomes(platform, model, batch_date)
    rows = []
    for night, part in judged.groupby(judged["batch_date"].dt.date):
        measured = metrics.score(model.kind, part["label"], predicted(part, model.classes))
        version, labelled = int(part["model_version"].iloc[0]), int(part["label"].notna().sum())
        rows.append((name, night, version, len(part), labelled, Json(measured), batch_date))
    with platform.warehouse.transaction() as cursor:
        cursor.executemany(MEASURED, rows)
    return {"model": name, "nights_measured": len(rows), "labels": int(judged["label"].notna().sum())}


def decide_verdict(platform: Platform, name: str, batch_date: date, asked: Try) -> Facts:
    """Decide the night: drift of the window against the champion's profile, performance, k of the last n.

    Raises:
        NotReady: the night has no predictions.
    """
    model = platform.project.model(name)
    version = _scored_by(platform, model, batch_date)
    drift = _drift(platform, model, version, batch_date)
    performance = _performance(platform, model, version, batch_date)
    verdict = decide_night(_history(platform, model, version, batch_date), drift, performance, model.drift)
    platform.warehouse.execute(
        DECIDED,
        (
            name,
            batch_date,
            version,
            verdict.status,
            verdict.status == "breached",
            verdict.retrain,
            verdict.reason,
            Json(drift.to_dict()),
            Json(performance.to_dict()) if performance else None,
            asked.run_id,
        ),
    )
    return {
        "model": name,
        "batch_date": str(batch_date),
        "status": verdict.status,
        "retrain": verdict.retrain,
    }


def render_report(platform: Platform, name: str, batch_date: date, asked: Try) -> Facts:
    """Render the night's drift report on a bounded sample and keep it; the verdict does not depend on it."""
    from nightshift.monitor.report import Decided, render

    model = platform.project.model(name)
    version = _scored_by(platform, model, batch_date)
    drift = _drift(platform, model, version, batch_date)
    row = platform.warehouse.row(
        "SELECT snapshot_id FROM governance.versions WHERE model = %s AND version = %s", (name, version)
    )
    reference, _ = split(*read_snapshot(platform, (row or {})["snapshot_id"]))
    columns = list(platform.project.feature_set(model.features).columns)
    title = f"{name}, night of {batch_date}, version {version}"
    said = platform.warehouse.row(
        "SELECT status, retrain, reason, performance FROM monitoring.verdicts WHERE model = %s AND batch_date = %s",
        (name, batch_date),
    )
    decided = None
    if said:
        decided = Decided(said["status"], said["retrain"], said["reason"], _measured(said["performance"]))
    page = render(reference[columns], _window(platform, model, batch_date)[columns], title, drift, decided)
    key = f"reports/{name}/{batch_date}.html"
    platform.objects.put(key, page)
    platform.warehouse.execute(
        "UPDATE monitoring.verdicts SET report_key = %s WHERE model = %s AND batch_date = %s",
        (key, name, batch_date),
    )
    return {"report": key, "bytes": len(page)}


def _measured(performance: dict[str, Any] | None) -> tuple[str, str] | None:
    return (performance["status"], performance["reason"]) if performance else None


def _scored_by(platform: Platform, model: Model, batch_date: date) -> int:
    row = platform.warehouse.row(
        "SELECT model_version FROM catalog.prediction_batches WHERE model = %s AND batch_date = %s",
        (model.name, batch_date),
    )
    if row is None:
        raise NotReady(
            f"model '{model.name}' has no predictions for {batch_date}; run score_{model.name} for it"
        )
    return int(row["model_version"])


def _window(platform: Platform, model: Model, batch_date: date) -> pd.DataFrame:
    table = feature_table(platform.project.feature_set(model.features))
    return platform.warehouse.read(
        table, batch_date - timedelta(days=model.drift.window_days - 1), batch_date
    )


def _drift(platform: Platform, model: Model, version: int, batch_date: date) -> DriftResult:
    """Compare the window with the profile. The window's predictions are this version's, whoever was live."""
    row = platform.warehouse.row(
        "SELECT profile::text AS profile FROM governance.versions WHERE model = %s AND version = %s",
        (model.name, version),
    )
    profile = Profile.from_json((row or {})["profile"])
    window = _window(platform, model, batch_date)
    predictions = load_version(platform, model, version, profile.classes)(window)
    return decide(profile, window[[f.name for f in profile.features]], predictions, model.drift)


def _outcomes(platform: Platform, model: Model, batch_date: date) -> pd.DataFrame:
    """Return predictions of the matured performance window with their labels (NaN: none yet)."""
    feature_set = platform.project.feature_set(model.features)
    table = prediction_table(model, feature_set)
    platform.warehouse.ensure(table)
    window = _matured(model, batch_date)
    predictions = platform.warehouse.read(table, window.first, window.last)
    predictions = predictions[predictions["arm"] == CHAMPION_ARM]
    truth = read_labels(platform, model, window.first, batch_date)
    return predictions.merge(truth, on=feature_set.entity, how="left", validate="one_to_one")


def _matured(model: Model, batch_date: date) -> DateRange:
    last = batch_date - timedelta(days=model.matures_after_days)
    days = model.performance.window_days if model.performance else 1
    return DateRange(last - timedelta(days=days - 1), last)


def _performance(
    platform: Platform, model: Model, version: int, batch_date: date
) -> PerformanceResult | None:
    if model.performance is None:
        return None
    row = platform.warehouse.row(
        "SELECT challenger_metrics FROM governance.decisions WHERE model = %s AND challenger = %s AND passed",
        (model.name, version),
    )
    baseline: Any = (row or {"challenger_metrics": {}})["challenger_metrics"].get(model.performance.metric)
    if baseline is None:
        return None
    outcomes = _outcomes(platform, model, batch_date)
    mine = outcomes[outcomes["model_version"] == version]
    return assess(
        model.kind,
        model.performance,
        mine["label"],
        predicted(mine, model.classes),
        len(mine),
        float(baseline),
        dates=mine["batch_date"],
    )


def _history(platform: Platform, model: Model, version: int, batch_date: date) -> list[str | None]:
    """Return the statuses of the nights before, oldest first; another version's nights say nothing of this."""
    rows = platform.warehouse.rows(
        "SELECT batch_date, status FROM monitoring.verdicts WHERE model = %s AND model_version = %s "
        "AND batch_date < %s AND batch_date >= %s ORDER BY batch_date",
        (model.name, version, batch_date, batch_date - timedelta(days=model.drift.of_last - 1)),
    )
    return [row["status"] for row in rows]
