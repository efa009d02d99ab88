"""Nights of models as rows, written by the statements of the stages: for tests and benchmarks of what reads them."""

import math
from datetime import date, timedelta

from nightshift.records import deliveries, features, monitoring
from nightshift.records.monitoring import (
    DriftResult,
    FeatureDrift,
    Harm,
    PerformanceResult,
    Reason,
    Reasons,
    Shift,
)
from nightshift.specs import Project
from nightshift.warehouse import Warehouse
from tests.integration.judged_versions import promoted

COLUMNS = 20


def fill(warehouse: Warehouse, project: Project, last: date, nights: int) -> None:
    """Write so many nights up to ``last`` of all that a project declares; each model has a champion."""
    days = [last - timedelta(days=n) for n in reversed(range(nights))]
    for name in project.models:  # before there is a scored night, which would have them begin after it
        promoted(warehouse, 1, 2, model=name)
    with warehouse.session() as session:
        for source in project.sources:
            session.each(deliveries.JUDGED, [_batch(source, day) for day in days])
        for spec in project.feature_sets.values():
            for day in days:
                session.run(features.BUILT, _built(spec.set, spec.version, day), earlier="")
        for name in project.models:
            session.each(features.SCORED, [_scored(name, day) for day in days])
            session.each(monitoring.JUDGE, [_verdict(name, day, n) for n, day in enumerate(days)])


def _batch(source: str, day: date) -> deliveries.Batch:
    return deliveries.Batch(
        source=source, batch_date=day, status="published", collected=1000, accepted=990, rejected=10, reasons="",
        warnings="", landed_sha256="a" * 64, docs_key=None, run_id="run",
    )  # fmt: skip


def _built(name: str, version: int, day: date) -> features.FeatureBatch:
    return features.FeatureBatch(
        feature_set=name, feature_version=version, batch_date=day, row_count=990, content_sha256="b" * 64,
        code_sha256="c" * 64, run_id="run",
    )  # fmt: skip


def _scored(model: str, day: date) -> features.PredictionBatch:
    return features.PredictionBatch(
        model=model, batch_date=day, model_version=2, row_count=900 + day.day, run_id="run", feature_set="departure",
        feature_version=1, features_sha256="b" * 64,
    )  # fmt: skip


def _verdict(model: str, day: date, n: int) -> monitoring.Verdict:
    value = 0.5 + 0.05 * math.sin(n / 9)
    columns = tuple(
        FeatureDrift(
            f"feature_{k:02}", 0.01 * ((n + k) % 30), 0.2, 0.5, 0.01, 0.01, 1 / COLUMNS, False, False
        )
        for k in range(COLUMNS)
    )
    shift = Shift(3.2, 365.0, n, (), "d" * 64)
    return monitoring.Verdict(
        model=model, batch_date=day, model_version=2, status="ok", breach=False, retrain=False,
        reason="nothing asks: evidence of a shift 3 of 365", run_id="run",
        drift=DriftResult(rows=900, status="ok", drifted_share=0.0, features=columns, shift=shift),
        performance=PerformanceResult(
            "ok", "log_loss", value, value - 0.03, value + 0.03, 0.5, 0.01, 900, 1000, {"log_loss": value}, "fine"
        ),
        reasons=Reasons((Reason("shift", False, 3.2, 365.0, "3 of 365"),), Harm(1.5, 365.0, n, 0.2, 0.2, "as good")),
    )  # fmt: skip
