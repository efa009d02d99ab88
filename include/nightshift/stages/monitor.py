"""Monitor: realised performance once labels are in, drift on every row, one verdict a night, one report."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cache, partial

import pandas as pd

from nightshift import kept, metrics, results
from nightshift.calendar import DateRange
from nightshift.errors import NotReady
from nightshift.monitor import harm, predictions, shift
from nightshift.monitor.drift import decide
from nightshift.monitor.performance import assess
from nightshift.monitor.profile import summed
from nightshift.monitor.verdict import Seen, decide_night, shares
from nightshift.platform import Platform, Try
from nightshift.platform.counting import window_counts
from nightshift.platform.faults import faulty_nights
from nightshift.platform.frozen import read_snapshot, split
from nightshift.platform.papers import version_row
from nightshift.platform.predictions import profile_of
from nightshift.platform.sketching import nights_of
from nightshift.records import decisions, features, leases, replays, sketches
from nightshift.records import monitoring as records
from nightshift.records.leases import watching
from nightshift.records.monitoring import (
    DriftResult,
    Estimate,
    Harm,
    Performance,
    PerformanceResult,
    Reasons,
    Shift,
    Verdict,
)
from nightshift.records.profile import Loss, NightLoss, Profile, TrainingLosses
from nightshift.records.replays import GainByAge
from nightshift.records.sketches import CountedNight
from nightshift.score import CHAMPION_ARM, predicted
from nightshift.specs import Model
from nightshift.stages.estimating import estimate_night
from nightshift.stages.maturing import Matured, arrivals_of, arrived_now, looked_at, matured, told
from nightshift.stages.measuring import Window, look, pairs, pooled
from nightshift.warehouse import feature_table

MOST_TOLD = 3


def measure_performance(platform: Platform, name: str, batch_date: date, asked: Try) -> results.Measured:
    """Measure what came of past predictions whose labels have matured by the cut-off of ``batch_date``.

    Of the performance window, nights whose predictions or reports changed since are measured again: late and corrected
    labels change past days, and only those. Nights whose labels are immature have no row: pending is not zero.
    """
    model = platform.project.model(name)
    begun = {"table": watching(name), "arm": CHAMPION_ARM, "holder": asked.holder, "dates": [batch_date]}
    platform.warehouse.all(leases.TAKE, **begun)
    if model.target is None:
        return {
            "model": name,
            "nights_measured": 0,
            "nights_read": 0,
            "labels": 0,
            "reason": "no labels: the model has no target",
        }
    nights = looked_at(platform, model, batch_date)
    looked = arrivals_of(platform, model, batch_date)
    window = look(platform, model, nights, batch_date, asked, {each.night for each in looked})
    bases = cache(lambda version: _base(platform, model, version))
    measured = [
        (_measured_now(model, part, batch_date, window, bases), part)
        for _, part in window.rows.groupby(["batch_date", "arm"])
    ]
    anew = window.rows[window.rows["arm"] == CHAMPION_ARM]
    arrivals = arrived_now(platform, model, window.champions, anew, looked, batch_date)
    with platform.warehouse.session() as session:  # one: a night that stands has its arrivals as well
        session.each(records.MEASURED, [row for row, _ in measured])
        session.each(records.UNCHANGED, [row for row, _ in measured])
        session.each(records.KEEP_OUTCOMES, pairs(model, measured))
        session.run(records.FORGET_OUTCOMES, model=name, first=nights.first)
        session.each(records.ARRIVED, arrivals)
    now = {**window.measured, **{(row.batch_date, row.arm): row for row, _ in measured}}
    found: results.Measured = {
        "model": name,
        "nights_measured": len(window.champions),
        "nights_read": window.rows["batch_date"].nunique(),
        "labels": sum(now[night, CHAMPION_ARM].labelled for night in window.champions),
    }
    if words := matured(platform, model, batch_date).words:
        found["reason"] = words
    if estimated := estimate_night(platform, model, batch_date):
        found["expected"] = estimated.reason
    return found


def _measured_now(
    model: Model,
    part: pd.DataFrame,
    batch_date: date,
    window: Window,
    bases: Callable[[int], Sequence[float]],
) -> Performance:
    """Return what an arm's rows of one night came to."""
    night, arm = part["batch_date"].iloc[0].date(), str(part["arm"].iloc[0])
    version = int(part["model_version"].iloc[0])
    return Performance(
        model=model.name,
        batch_date=night,
        arm=arm,
        model_version=version,
        scored=len(part),
        labelled=int(part["label"].notna().sum()),
        metrics=metrics.score(model.kind, part["label"], predicted(part, model.classes)),
        known_on=batch_date,
        losses=_losses(model, part, bases(version)),
        inputs_sha256=window.inputs[night, arm],
    )


def decide_verdict(platform: Platform, name: str, batch_date: date, asked: Try) -> results.Verdict:
    """Decide the night by the reasons of ``retrain.when``, for the version that scored it.

    Raises:
        NotReady: the night has no predictions.
    """
    model = platform.project.model(name)
    version = _scored_by(platform, model, batch_date)
    profile = _profile(platform, model, version)
    drift = _drift(platform, model, version, profile, batch_date)
    labels = cache(partial(matured, platform, model, batch_date))  # asked of the warehouse once, where at all
    seen = Seen(
        night=batch_date,
        drift=drift,
        performance=_performance(platform, model, version, batch_date, asked, labels),
        harm=_harm(platform, model, version, profile.losses, batch_date, labels),
        windows=_windows(platform, model, version, batch_date),
        fitted_until=version_row(platform, name, version).trained_until,
        gains=_gains(platform, model, batch_date),
    )
    verdict = decide_night(model, seen)
    platform.warehouse.run(
        records.JUDGE,
        Verdict(
            model=name,
            batch_date=batch_date,
            model_version=version,
            status=verdict.status,
            breach=verdict.status == "breached",
            retrain=verdict.retrain,
            reason=verdict.reason,
            drift=drift,
            performance=seen.performance,
            reasons=Reasons(verdict.reasons, seen.harm),
            run_id=asked.run_id,
        ),
    )
    said: results.Verdict = {
        "model": name,
        "batch_date": str(batch_date),
        "status": verdict.status,
        "retrain": verdict.retrain,
    }
    return {**said, **shares(model, seen)}


def _gains(platform: Platform, model: Model, batch_date: date) -> GainByAge | None:
    if model.retrain.when.expected_gain is None:
        return None
    found = platform.warehouse.one(replays.NEWEST_GAINS, model=model.name, night=batch_date)
    return found.by_age if found else None


def render_report(platform: Platform, name: str, batch_date: date, asked: Try) -> results.Reported:
    """Render the night's drift report on a bounded sample and keep it; the verdict does not depend on it."""
    from nightshift.monitor.report import Decided, render

    model = platform.project.model(name)
    version = _scored_by(platform, model, batch_date)
    frozen = version_row(platform, name, version).snapshot_id
    reference, _ = split(*read_snapshot(platform, frozen))
    columns = list(platform.project.feature_set(model.features).columns)
    title = f"{name}, night of {batch_date}, version {version}"
    said = platform.warehouse.one(records.VERDICT, model=name, batch_date=batch_date)
    decided = None
    if said:
        decided = Decided(
            said.status, said.retrain, said.reason, _measured(said.performance), said.reasons.said
        )
    expected = platform.warehouse.one(records.ESTIMATED, model=name, batch_date=batch_date)
    # What the verdict has measured of this version is not measured again.
    is_measured = said and said.model_version == version
    if said and is_measured:
        drift = said.drift
    else:
        drift = _drift(platform, model, version, _profile(platform, model, version), batch_date)
    page = render(
        reference[columns],
        _sample(platform, model, batch_date, drift.rows)[columns],
        title,
        drift,
        decided,
        _words(expected, version),
    )
    key = kept.report(name, batch_date)
    platform.objects.put(key, page)
    platform.warehouse.run(records.REPORTED, key=key, model=name, batch_date=batch_date)
    return {"report": key, "bytes": len(page)}


def _measured(performance: PerformanceResult | None) -> tuple[str, str] | None:
    return (performance.status, performance.reason) if performance else None


def _words(expected: Estimate | None, version: int) -> str | None:
    return expected.result.reason if expected and expected.model_version == version else None


def _scored_by(platform: Platform, model: Model, batch_date: date) -> int:
    batch = platform.warehouse.one(features.PREDICTED, model=model.name, batch_date=batch_date)
    if batch is None:
        raise NotReady(
            f"model '{model.name}' has no predictions for {batch_date}; run score_{model.name} for it"
        )
    return batch.model_version


def _sample(platform: Platform, model: Model, batch_date: date, rows: int) -> pd.DataFrame:
    """Return some of the ``rows`` of the window, for pictures; a night with an open fault is left out."""
    from nightshift.monitor.report import SAMPLE_ROWS

    spec = platform.project.feature_set(model.features)
    nights = DateRange(batch_date - timedelta(days=model.drift.window_days - 1), batch_date)
    one_in = max(rows // (2 * SAMPLE_ROWS), 1)
    with platform.warehouse.reading() as reading:
        drawn = reading.sample(feature_table(spec), nights.first, nights.last, one_in)
    return drawn[~drawn["batch_date"].dt.date.isin(faulty_nights(platform, spec, nights))]


def _profile(platform: Platform, model: Model, version: int) -> Profile:
    """Return the profile of a version. Raises NotReady if there is no such version."""
    found = profile_of(platform, model, version)
    if found is None:
        raise NotReady(f"model '{model.name}' has no version {version}")
    return found


def _drift(platform: Platform, model: Model, version: int, profile: Profile, batch_date: date) -> DriftResult:
    """Compare the window with the profile. The window's predictions are this version's, whoever was live."""
    nights = window_counts(platform, model, version, profile, batch_date)
    found = decide(profile, summed([n.counted for n in nights if n.counted], profile), model.drift)
    return replace(
        found,
        shift=_shift(platform, model, version, profile, batch_date),
        counts_sha256=_sha256([str(night.counts_sha256) for night in nights]),
    )


def _shift(
    platform: Platform, model: Model, version: int, profile: Profile, batch_date: date
) -> Shift | None:
    """Return the evidence of all faultless nights since training, from their sketches; None without any.

    The features count from the training's last night, the predictions on the nights that the version served.
    """
    spec = platform.project.feature_set(model.features)
    known = nights_of(platform, spec, batch_date)
    if known is None:
        return None
    faulty = faulty_nights(platform, spec, DateRange(min(known.sketches), batch_date))
    sound = {night: each for night, each in known.sketches.items() if night not in faulty}
    training = {night: each for night, each in sound.items() if profile.first <= night <= profile.last}
    later = {night: each for night, each in sound.items() if night > profile.last}
    if not training or not later:
        return None
    of_features = shift.evidence(
        shift.trained(known.edges, training),
        shift.series(known.edges, training, later),
        {each.name: each.importance for each in profile.features},
    )
    served = [each for each in _served(platform, model, version, batch_date) if each.batch_date in later]
    said = {each.batch_date: each.counted.predictions for each in served if each.counted}
    found = shift.joined(of_features, predictions.evidence(profile, said))
    features_used = [known.hashes[night] for night in sorted([*training, *later])]
    return Shift(
        evidence=found.total,
        alarm=shift.ALARM,
        nights=len(found.nights),
        words=tuple(shift.words(each) for each in found.found[:MOST_TOLD]),
        sketches_sha256=_sha256([*features_used, *(str(each.counts_sha256) for each in served)]),
        predictions=len(served) if profile.prediction_nights else 0,
    )


def _served(platform: Platform, model: Model, version: int, batch_date: date) -> list[CountedNight]:
    """Return the counts of the nights that a version served after the last that it was fitted on."""
    after = version_row(platform, model.name, version).trained_until
    return platform.warehouse.all(
        sketches.SERVED, model=model.name, version=version, after=after, last=batch_date
    )


def _sha256(hashes: Sequence[str]) -> str:
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _performance(
    platform: Platform,
    model: Model,
    version: int,
    batch_date: date,
    asked: Try,
    labels_of: Callable[[], Matured],
) -> PerformanceResult | None:
    if model.performance is None:
        return None
    decision = platform.warehouse.one(decisions.PASSED, model=model.name, version=version)
    baseline = decision.challenger_metrics.get(model.performance.metric) if decision else None
    if baseline is None:
        return None
    labels = labels_of()
    final = [night for night in labels.judged.dates if labels.is_final(night)]
    scored, came_true, said = pooled(platform, model, version, final, batch_date, asked)
    result = assess(
        model.kind,
        model.performance,
        came_true["label"],
        said,
        scored,
        baseline,
        dates=came_true["batch_date"],
    )
    return told(result, labels)


def _base(platform: Platform, model: Model, version: int) -> Sequence[float]:
    """Return what was usual in a version's training; nothing where that was not kept, or of another kind of target.

    Of several classes in the order in which they are declared now; one that was declared later was never there.
    """
    found = profile_of(platform, model, version)
    if found is None or found.losses is None:
        return ()
    base, known = found.losses.base, found.classes
    if known and model.classes:
        return tuple(dict(zip(known, base, strict=True)).get(name, 0.0) for name in model.classes)
    of_one = {"classification": 2, "regression": 1}
    return base if not known and len(base) == of_one.get(model.kind) else ()


def _losses(model: Model, night: pd.DataFrame, base: Sequence[float]) -> Loss | None:
    """Return what the labelled rows of a night lost, and what always saying ``base`` would have, where there is one."""
    known = night[night["label"].notna()]
    if known.empty:
        return None
    truth = known["label"].to_numpy(dtype="float64")
    said = predicted(known, model.classes)
    if not base:  # brought, or from before it was kept: harm cannot be judged, a probation against it can
        loss = float(metrics.row_losses(model.kind, truth, said).mean())
        return Loss(night=known["batch_date"].iloc[0].date(), rows=len(known), loss=loss)
    return harm.night_losses(model.kind, known["batch_date"], truth, said, base)[0]


def _harm(
    platform: Platform,
    model: Model,
    version: int,
    training: TrainingLosses | None,
    batch_date: date,
    labels_of: Callable[[], Matured],
) -> Harm | None:
    """Return the evidence of this version's nights, but for those with a fault and those that lack labels."""
    if training is None:
        return None
    rows = platform.warehouse.all(
        records.LOSSES,
        model=model.name,
        arm=CHAMPION_ARM,
        version=version,
        after=training.nights[-1].night,
        known_on=batch_date,
    )
    later = [row.losses for row in rows if isinstance(row.losses, NightLoss)]
    if not later:
        return None
    spec = platform.project.feature_set(model.features)
    faulty = faulty_nights(platform, spec, DateRange(later[0].night, later[-1].night))
    labels = labels_of()
    sound = [each for each in later if each.night not in faulty and labels.is_final(each.night)]
    return harm.evidence(training, sound, model.retrain.when.harm or shift.ALARM)


def _windows(platform: Platform, model: Model, version: int, batch_date: date) -> list[str | None]:
    """Return what drift said of the nights before, oldest first; another version's nights say nothing of this."""
    first = batch_date - timedelta(days=model.drift.of_last - 1)
    nights = platform.warehouse.all(
        records.STATUSES, model=model.name, version=version, night=batch_date, first=first
    )
    return [night.status for night in nights]
