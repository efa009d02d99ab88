"""Nights in the bins of a version's profile: counted when they are scored, else from their rows when first needed."""

from collections.abc import Sequence
from datetime import date, timedelta

from nightshift.calendar import DateRange
from nightshift.monitor.profile import counted, counted_sha256, summed
from nightshift.platform.faults import faulty_nights
from nightshift.platform.fitted import load_version
from nightshift.platform.handles import Platform
from nightshift.records import sketches
from nightshift.records.profile import Profile
from nightshift.records.sketches import Counted, CountedNight, ProfileCounts
from nightshift.score import CHUNK_ROWS, said
from nightshift.specs import Model
from nightshift.types import to_frame
from nightshift.warehouse import feature_table


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
        with platform.warehouse.reading() as reading:
            blocks = map(
                to_frame, reading.blocks(feature_table(spec), night.batch_date, night.batch_date, CHUNK_ROWS)
            )
            total = summed(
                (counted(of[1], rows, said(rows, predict, of[1].classes)) for rows in blocks), of[1]
            )
        made = profile_counts(model, of[0], (night.batch_date, night.content_sha256), total)
        platform.warehouse.run(sketches.FILL_COUNTS, made, feature_set=spec.set, feature_version=spec.version)
        found[night.batch_date] = CountedNight(
            batch_date=night.batch_date,
            content_sha256=night.content_sha256,
            counts_sha256=made.counts_sha256,
            counted=made.counted,
        )
    return found


def profile_counts(model: Model, version: int, night: tuple[date, str], made: Counted) -> ProfileCounts:
    """Return the counts of a night as they are kept. ``night``: its date, and the hash of its features."""
    return ProfileCounts(
        model=model.name,
        model_version=version,
        batch_date=night[0],
        features_sha256=night[1],
        counts_sha256=counted_sha256(made),
        counted=made,
    )
