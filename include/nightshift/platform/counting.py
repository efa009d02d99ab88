"""Nights in the bins of a version's profile: counted when they are scored, else from their rows when first needed."""

from collections.abc import Sequence
from datetime import date, timedelta

import pandas as pd

from nightshift.calendar import DateRange
from nightshift.distributions import Floats
from nightshift.errors import SchemaMismatch
from nightshift.monitor.profile import counted, counted_sha256
from nightshift.platform.faults import faulty_nights
from nightshift.platform.fitted import load_version
from nightshift.platform.handles import Platform
from nightshift.records import sketches
from nightshift.records.profile import Profile
from nightshift.records.sketches import CountedNight, ProfileCounts
from nightshift.score import said
from nightshift.specs import Model
from nightshift.warehouse import feature_table


def scored_counts(
    model: Model,
    of: tuple[int, Profile | None],
    night: tuple[date, str | None],
    rows: pd.DataFrame,
    said: Floats,
) -> ProfileCounts | None:
    """Return the counts of a night that is being scored by a version, its number and profile ``of``.

    ``night``: its date, and the hash of its features ``rows``; ``said``: what the version says of these by itself.
    None where they do not fit the profile: the verdict counts them then, and says what does not fit.
    """
    (version, profile), (batch_date, content) = of, night
    if profile is None or content is None or not set(profile.classes) <= set(model.classes):
        return None
    by_class = said[:, [model.classes.index(name) for name in profile.classes]] if profile.classes else said
    try:
        return _counts(model, (version, profile), (batch_date, content), rows, by_class)
    except SchemaMismatch:
        return None


def window_counts(
    platform: Platform, model: Model, version: int, profile: Profile, batch_date: date
) -> Sequence[CountedNight]:
    """Return the counts of the window's nights, but for those with an open fault: broken data is no drift.

    A night that this version has not scored, or that was built anew since, is read and scored now, once.
    """
    spec = platform.project.feature_set(model.features)
    nights = DateRange(batch_date - timedelta(days=model.drift.window_days - 1), batch_date)
    faulty = faulty_nights(platform, spec, nights)
    known = platform.warehouse.all(
        sketches.COUNTED,
        model=model.name,
        model_version=version,
        feature_set=spec.set,
        feature_version=spec.version,
        first=nights.first,
        last=nights.last,
    )
    sound = [night for night in known if night.batch_date not in faulty]
    missing = [night for night in sound if night.counted is None]
    filled = _filled(platform, model, (version, profile), missing) if missing else {}
    return [filled.get(night.batch_date, night) for night in sound]


def _filled(
    platform: Platform, model: Model, of: tuple[int, Profile], nights: Sequence[CountedNight]
) -> dict[date, CountedNight]:
    """Count nights from their rows, one at a time, and keep what is found."""
    spec = platform.project.feature_set(model.features)
    predict, found = load_version(platform, model, of[0], of[1].classes), {}
    for night in nights:
        rows = platform.warehouse.read(feature_table(spec), night.batch_date, night.batch_date)
        scores = said(rows, predict, of[1].classes)
        made = _counts(model, of, (night.batch_date, night.content_sha256), rows, scores)
        platform.warehouse.run(sketches.FILL_COUNTS, made, feature_set=spec.set, feature_version=spec.version)
        found[night.batch_date] = CountedNight(
            batch_date=night.batch_date,
            content_sha256=night.content_sha256,
            counts_sha256=made.counts_sha256,
            counted=made.counted,
        )
    return found


def _counts(
    model: Model, of: tuple[int, Profile], night: tuple[date, str], rows: pd.DataFrame, said: Floats
) -> ProfileCounts:
    made = counted(of[1], rows, said)
    return ProfileCounts(
        model=model.name,
        model_version=of[0],
        batch_date=night[0],
        features_sha256=night[1],
        counts_sha256=counted_sha256(made),
        counted=made,
    )
