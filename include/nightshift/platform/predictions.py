"""Sketches of predictions: a version's, each night, in bins of its own."""

from nightshift.monitor.sketches import edges_sha256, prediction_edges, sketch_sha256
from nightshift.platform.handles import Platform
from nightshift.records import versions
from nightshift.records.features import PredictionBatch
from nightshift.records.profile import Profile
from nightshift.records.sketches import Edges, PredictionSketch, Sketch
from nightshift.specs import Model


def profile_of(platform: Platform, model: Model, version: int) -> Profile | None:
    """Return the profile of a version; None if there is no such version."""
    found = platform.warehouse.one(versions.PROFILE, model=model.name, version=version)
    return found.profile if found else None


def edges_of_predictions(profile: Profile | None) -> Edges:
    """Return the bins of a version's predictions: of probabilities 0 to 1, of numbers about those of its training.

    Without a profile they are those of a probability. Where the version's estimation says at which predictions most
    rows lie, bins are narrow there.
    """
    if profile is None:
        return prediction_edges(["prediction"])
    names = [column.name for column in profile.predictions]
    inner = [edge for column in profile.predictions for edge in column.edges]
    curves = profile.estimation.curves if profile.estimation else ()
    cuts = {curve.column: curve.at for curve in curves}
    if not inner or (min(inner) >= 0 and max(inner) <= 1):
        return prediction_edges(names, cuts=cuts)
    width = max(max(inner) - min(inner), abs(max(inner)), 1e-9)
    return prediction_edges(names, min(inner) - width, max(inner) + width, cuts)


def prediction_sketch(batch: PredictionBatch, edges: Edges, made: Sketch) -> PredictionSketch:
    """Return the sketch of a scored night as it is kept."""
    return PredictionSketch(
        model=batch.model,
        batch_date=batch.batch_date,
        arm=batch.arm,
        model_version=batch.model_version,
        edges_sha256=edges_sha256(edges),
        sketch_sha256=sketch_sha256(made),
        sketch=made,
        recalibration=batch.recalibration,
    )
