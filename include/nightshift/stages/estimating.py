"""Estimate what a scored night is worth before its labels are known, from its sketch and what past nights came to."""

from datetime import date

from nightshift.monitor.estimate import Past, coverage, estimate, words
from nightshift.platform import Platform
from nightshift.platform.predictions import edges_of_predictions, profile_of
from nightshift.records import monitoring, sketches
from nightshift.records.monitoring import Estimate, EstimateResult
from nightshift.records.profile import Profile
from nightshift.records.sketches import PredictionSketch
from nightshift.specs import Model
from nightshift.stages.maturing import matured


def estimate_night(platform: Platform, model: Model, batch_date: date) -> EstimateResult | None:
    """Estimate the night's performance and keep it; None where nothing was scored, or nothing says how to.

    Read are the night's sketch, the version's profile, and what earlier nights of that version came to as the night
    knew it: so a night that is run again comes to the same.
    """
    scored = platform.warehouse.one(sketches.SCORED, model=model.name, batch_date=batch_date)
    profile = scored and profile_of(platform, model, scored.model_version)
    if not scored or not profile or profile.estimation is None:
        return None
    result = _estimated(platform, model, profile, scored)
    platform.warehouse.run(
        monitoring.ESTIMATE,
        Estimate(
            model=model.name,
            batch_date=batch_date,
            model_version=scored.model_version,
            sketch_sha256=scored.sketch_sha256,
            result=result,
        ),
    )
    return result


def _estimated(
    platform: Platform, model: Model, profile: Profile, scored: PredictionSketch
) -> EstimateResult:
    estimation = profile.estimation
    past: dict[str, list[Past]] = {}
    labels = matured(platform, model, scored.batch_date)
    for night in platform.warehouse.all(
        monitoring.CAME_TRUE, model=model.name, version=scored.model_version, known_on=scored.batch_date
    ):
        for name, estimated in night.result.metrics.items():
            realised = night.metrics.get(name)
            if realised is not None and labels.is_final(night.batch_date):
                past.setdefault(name, []).append(Past(estimated, realised))
    edges = edges_of_predictions(profile)
    metrics = estimate(estimation, scored.sketch, edges, past) if estimation else {}
    metric = model.performance.metric if model.performance else next(iter(metrics), "")
    right, judged = coverage(past.get(metric, ()))
    return EstimateResult(metric, metrics, right, judged, words(metric, metrics.get(metric), right, judged))
