"""Sketches of predictions: a version's, each night, in bins of its own."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import cache

import pandas as pd

from nightshift.monitor.sketches import edges_sha256, prediction_edges, sketch, sketch_sha256
from nightshift.platform.handles import Platform
from nightshift.records import versions
from nightshift.records.features import Recalibration
from nightshift.records.profile import Profile
from nightshift.records.sketches import Edges, PredictionSketch
from nightshift.score import predicted
from nightshift.specs import Model


def profile_of(platform: Platform, model: Model, version: int) -> Profile | None:
    """Return the profile of a version; None if there is no such version."""
    found = platform.warehouse.one(versions.PROFILE, model=model.name, version=version)
    return found.profile if found else None


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
    # A profile is large: it is read once for all nights of its version.
    bins = cache(lambda version: _edges_of(profile_of(platform, model, version)))
    return [
        replace(_prediction_sketch(model, night, part, arm, bins), recalibration=moved.get(night))
        for night, part in predictions.groupby(predictions["batch_date"].dt.date)
    ]


def _edges_of(profile: Profile | None) -> Edges:
    return edges_of_predictions(profile) if profile else prediction_edges(["prediction"])


def _prediction_sketch(
    model: Model, night: date, part: pd.DataFrame, arm: str, bins: Callable[[int], Edges]
) -> PredictionSketch:
    version = int(part["model_version"].iloc[0])
    edges = bins(version)
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
