"""Ask the champion by hand: its predictions for given entities of a night, beside the nightly ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import pandas as pd

from nightshift import results
from nightshift import score as scoring
from nightshift.calendar import DateRange
from nightshift.errors import NotReady, RequestError, RunStage, Subject
from nightshift.govern import Ledger
from nightshift.platform import Platform, Try
from nightshift.platform.fitted import load_version
from nightshift.platform.inputs import read_features
from nightshift.platform.recalibrating import recalibrated, stored, told
from nightshift.records import features
from nightshift.score.selection import Key, Selected, keyed, matching, read_conditions
from nightshift.specs import FeatureSet
from nightshift.specs.derived import ADHOC
from nightshift.warehouse import Table, feature_table, prediction_table

ARM = "adhoc"


@dataclass(frozen=True)
class Wanted:
    """Which entities of a night: those of ``keys`` (values in the order of the entity), or ``where`` column=value."""

    keys: Sequence[Key] = ()
    where: Sequence[str] = ()

    def __post_init__(self) -> None:
        if bool(self.keys) == bool(self.where):
            raise RequestError("give either keys or where: which entities are to be scored")


@dataclass(frozen=True)
class Answered:
    """The predictions, a row an entity, and which entities were found; ``recalibrated``: what they were moved by."""

    rows: pd.DataFrame
    night: date
    version: int
    selected: Selected
    recalibrated: str


def ask_champion(platform: Platform, name: str, night: date | None, asked: Try, wanted: Wanted) -> Answered:
    """Return what the champion of a night says of entities of it; writes nothing. ``None``: the newest night.

    It is moved as the night's predictions are, or as they will be.

    Raises:
        RequestError: a condition on no column of the set, or a key of another shape.
        NotReady: no champion, no features of that night, or none of the entities has any.
        LedgerMismatch: the registry's alias is not what the ledger says.
        ArtifactRefused: the model file is not the one that was promoted.
    """
    model = platform.project.model(name)
    feature_set = platform.project.feature_set(model.features)
    platform.warehouse.ensure(feature_table(feature_set))
    night = night or _newest(platform, feature_set)
    ledger = Ledger(platform.warehouse, name)
    ledger.check(platform.registry.champion(name))
    version = ledger.champion_on(night).version
    with platform.warehouse.reading() as reading:
        rows = read_features(reading, platform, model, DateRange(night, night))
    selected = _select(rows, feature_set, wanted)
    if selected.rows.empty:
        raise NotReady(f"model '{name}', night of {night}: nothing to score; {selected.words()}")
    by = stored(platform, model, night, version)
    predict = recalibrated(model, load_version(platform, model, version), by)
    predicted = scoring.score(selected.rows, predict, feature_set.entity, model.classes)
    rows = predicted.assign(
        arm=ARM, model_version=version, run_id=asked.run_id, feature_version=feature_set.version
    )
    return Answered(rows, night, version, selected, told(model, by))


def score_entities(
    platform: Platform, name: str, night: date | None, asked: Try, wanted: Wanted
) -> tuple[results.Asked, str]:
    """Keep what the champion says in ``adhoc.<model>``, under this run; return the facts, and what was found in words.

    The run replaces its own rows and nobody else's. Raises as :func:`ask_champion`.
    """
    answered = ask_champion(platform, name, night, asked, wanted)
    table = adhoc_table(platform, name)
    platform.warehouse.ensure(table)
    platform.warehouse.replace_rows(table, answered.rows, run_id=asked.run_id)
    facts: results.Asked = {
        "table": table.qualified,
        "run_id": asked.run_id,
        "night": str(answered.night),
        "version": answered.version,
        "rows": len(answered.rows),
        "missing": len(answered.selected.missing),
        "recalibrated": answered.recalibrated,
    }
    return facts, answered.selected.words()


def adhoc_table(platform: Platform, name: str) -> Table:
    """Return the table of a model's predictions that were asked for by hand: those of the night, a run."""
    model = platform.project.model(name)
    feature_set = platform.project.feature_set(model.features)
    nightly = prediction_table(model, feature_set)
    return replace(nightly, schema=ADHOC, key=("run_id", "batch_date", *feature_set.entity))


def _select(rows: pd.DataFrame, feature_set: FeatureSet, wanted: Wanted) -> Selected:
    if wanted.where:
        columns = {**dict.fromkeys(feature_set.entity, "string"), **feature_set.columns}
        return matching(rows, read_conditions(wanted.where, columns))
    width = len(feature_set.entity)
    for key in wanted.keys:
        if len(key) != width:
            raise RequestError(
                f"keys: {'/'.join(key)[:60]!r} has {len(key)} values; the entity of {feature_set.name} is "
                f"{', '.join(feature_set.entity)}"
            )
    return keyed(rows, wanted.keys, feature_set.entity)


def _newest(platform: Platform, feature_set: FeatureSet) -> date:
    newest = platform.warehouse.one(
        features.NEWEST, feature_set=feature_set.set, version=feature_set.version, count=1
    )
    if newest is None:
        raise NotReady(
            "has no night yet",
            subject=Subject("feature set", feature_set.name),
            remedy=RunStage("features", feature_set.name),
        )
    return newest.batch_date
