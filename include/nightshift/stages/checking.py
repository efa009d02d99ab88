"""Check that features do not leak, and that training, scoring and a rebuild see the same rows. Writes nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial

import pandas as pd

from nightshift import featurise
from nightshift.errors import NotReady, RunStage, SpecError, Subject
from nightshift.featurise import leaks, shards
from nightshift.featurise.giveaway import gives_away, telling
from nightshift.featurise.leaks import DAY, Case, Finding, See
from nightshift.platform import Platform
from nightshift.platform.frozen import read_snapshot
from nightshift.platform.inputs import known_labels
from nightshift.records import features as records
from nightshift.records import snapshots
from nightshift.specs import FeatureSet, Model
from nightshift.train import labelled
from nightshift.warehouse import feature_table, raw_table

# So many nights on either side of the one under attack: later rows to hide, other nights to build.
NEIGHBOURS = 2
# So many nights, up to the newest, are looked through for a feature that gives a label away.
NIGHTS_JUDGED = 60


def newest_nights(platform: Platform, name: str, count: int = 3) -> list[date]:
    """Return the newest nights that a feature set was built for, ascending. Raises NotReady if there is none."""
    spec = platform.project.feature_set(name)
    found = platform.warehouse.all(records.NEWEST, feature_set=spec.set, version=spec.version, count=count)
    if not found:
        raise NotReady(
            "has no night in this warehouse",
            subject=Subject("feature set", name),
            remedy=RunStage("features", name),
        )
    return sorted(each.batch_date for each in found)


def check_features(
    platform: Platform, name: str, night: date, *, see: See = featurise.visible
) -> list[Finding]:
    """Attack one night of a set, and compare what is built with its partition and with the newest snapshot of it.

    Raises:
        NotReady: the night has no partition.
    """
    spec = platform.project.feature_set(name)
    stored = _stored(platform, spec, night)
    case = _case(platform, spec, night, see)
    built = case.built(case.load(), night)
    parity = [("stored partition", stored, False)]
    parity += [(f"snapshot {digest[:12]}", rows, True) for digest, rows in _frozen(platform, spec, night)]
    compared = [
        Finding(words, 0, len(rows), *leaks.differing(spec, built, rows, partly=partly))
        for words, rows, partly in parity
    ]
    dealt = shards.check(case) if spec.shards else []
    return leaks.check(case) + dealt + compared


def check_shards(platform: Platform, name: str, night: date) -> list[Finding]:
    """Build one night of a set in shards of several numbers, and compare each with what all its rows come to.

    Raises:
        SpecError: the set declares none.
        NotReady: the night has no partition.
    """
    spec = platform.project.feature_set(name)
    if spec.shards is None:
        raise SpecError(
            f"{spec.path}: key 'shards' is missing: declare by which columns rows belong together"
        )
    _stored(platform, spec, night)
    return shards.check(_case(platform, spec, night, featurise.visible))


def _case(platform: Platform, spec: FeatureSet, night: date, see: See) -> Case:
    frames = {}
    for source in spec.inputs:
        table = raw_table(platform.project.source(source))
        platform.warehouse.ensure(table)
        first = featurise.earliest_input(spec, source, night - NEIGHBOURS * DAY)
        frames[source] = platform.warehouse.read(table, first, night + NEIGHBOURS * DAY)
    keys = {source: platform.project.source(source).key for source in spec.inputs}
    targets: dict[str, list[str]] = {}
    for model in _models_on(platform, spec):
        if model.target and model.target.source in spec.inputs:
            targets.setdefault(model.target.source, []).append(model.target.column)
    load = partial(featurise.load_build, spec)
    return Case(spec, platform.project.calendar, night, frames, keys, load, see, targets)


@dataclass(frozen=True)
class Alone:
    """What features say of a label by themselves.

    ``giving_away``: those that say it nearly always: they hold it, or become known only with it. ``telling``: others
    that say it suspiciously well, and how well (:func:`nightshift.featurise.giveaway.telling`).
    """

    giving_away: list[str]
    telling: dict[str, float]


def what_features_say_alone(platform: Platform, name: str) -> dict[str, Alone]:
    """Return, by model on the set, what its features say of its label by themselves, on newest nights."""
    spec = platform.project.feature_set(name)
    last = newest_nights(platform, name)[-1]
    found = {}
    learning = [(model, model.target) for model in _models_on(platform, spec) if model.target is not None]
    for _, target in learning:
        platform.warehouse.ensure(raw_table(platform.project.source(target.source)))
    platform.warehouse.ensure(feature_table(spec))
    with platform.warehouse.reading() as reading:
        features = reading.read(feature_table(spec), last - NIGHTS_JUDGED * DAY, last)
        for model, target in learning:
            as_of = last + target.matures_after_days * DAY
            truth, _ = known_labels(reading, platform, model, last - NIGHTS_JUDGED * DAY, as_of)
            rows = labelled(features, truth, spec.entity)
            outcome = rows["label"].astype("Int64") if model.kind != "regression" else rows["label"]
            found[model.name] = _alone({column: rows[column] for column in spec.columns}, outcome)
    return found


def _alone(columns: Mapping[str, pd.Series], outcome: pd.Series) -> Alone:
    giving = [name for name, values in columns.items() if gives_away(values, outcome)]
    scores = {name: telling(values, outcome) for name, values in columns.items() if name not in giving}
    return Alone(giving, {name: score for name, score in scores.items() if score is not None})


def _models_on(platform: Platform, spec: FeatureSet) -> list[Model]:
    return [model for model in platform.project.models.values() if model.features == spec.name]


def _stored(platform: Platform, spec: FeatureSet, night: date) -> pd.DataFrame:
    table = feature_table(spec)
    platform.warehouse.ensure(table)
    rows = platform.warehouse.read(table, night, night)
    if rows.empty:
        raise NotReady(
            "has no partition",
            subject=Subject("feature set", spec.name),
            nights=[night],
            remedy=RunStage("features", spec.name),
        )
    return rows


def _frozen(platform: Platform, spec: FeatureSet, night: date) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the newest snapshot that holds the night: its hash and the night's rows. Only labelled rows are in it."""
    of = {"feature_set": spec.set, "version": spec.version, "night": night}
    for held in platform.warehouse.all(snapshots.HOLDING, **of):
        try:
            _, rows = read_snapshot(platform, held.snapshot_id)
        except NotReady:  # retention has taken its file away
            continue
        yield held.snapshot_id, rows[rows["batch_date"] == pd.Timestamp(night)]
        return
