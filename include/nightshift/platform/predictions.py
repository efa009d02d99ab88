"""Sketches of predictions: a version's, each night, in bins of its own."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import pandas as pd

from nightshift.monitor.sketches import edges_sha256, prediction_edges, sketch, sketch_sha256
from nightshift.platform.handles import Platform
from nightshift.records import versions
from nightshift.records.features import Recalibration
from nightshift.records.profile import Profile
from nightshift.records.sketches import Edges, PredictionSketch
from nightshift.score import predicted
from nightshift.specs import Model


def edges_of_predictions(profile: Profile) -> Edges:
    """Return the bins of a version's predictions: of probabilities 0 to 1, of numbers about those of its training.

    Where its estimation says at which predictions most rows lie, bins are narrow there.
    """
    names = [column.name for column in profile.predictions]
    inner = [edge for column in profile.predictions for edge in column.edges]
    curves = profile.estimation.curves if profile.estimation else ()
    cuts = {curve.column: curve.at for curve in curves}
    if not inner or (min(inner) >= 0 and max(inner) <= 1):
        return prediction_edges(names, cuts=cuts)
    width = max(max(inner) - min(inner), abs(max(inner)), 1e-9)
    return prediction_edges(names, min(inner) - width, max(inner) + width, cuts)


def prediction_sketches(
    platform: Platform,
    model: Model,
    predictions: pd.DataFrame,
    arm: str,
    moved: Mapping[date, Recalibration],
) -> list[PredictionSketch]:
    """Return the sketch of each night of ``predictions``, rows of a model's table; ``moved``: by what, a night."""
    return [
        replace(_prediction_sketch(platform, model, night, part, arm), recalibration=moved.get(night))
        for night, part in predictions.groupby(predictions["batch_date"].dt.date)
    ]


def _prediction_sketch(
    platform: Platform, model: Model, night: date, part: pd.DataFrame, arm: str
) -> PredictionSketch:
    version = int(part["model_version"].iloc[0])
    found = platform.warehouse.one(versions.PROFILE, model=model.name, version=version)
    edges = edges_of_predictions(found.profile) if found else prediction_edges(["prediction"])
    names = [column.name for column in edges.columns]
    said = predicted(part, names if len(names) > 1 else ()).reshape(len(part), -1)
    made = sketch(pd.DataFrame(said, columns=names), edges)
    return PredictionSketch(
        model=model.name,
        batch_date=night,
        arm=arm,
        model_version=version,
        edges_sha256=edges_sha256(edges),
        sketch_sha256=sketch_sha256(made),
        sketch=made,
    )
