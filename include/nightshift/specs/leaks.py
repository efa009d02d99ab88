"""Leaks that the specs show by themselves: a model whose features hold what it is to predict."""

from collections.abc import Mapping

from nightshift.errors import SpecError
from nightshift.specs.features import FeatureSet
from nightshift.specs.model import Model
from nightshift.specs.source import FilesConnector, Source


def check_target_is_no_feature(model: Model, features: FeatureSet, sources: Mapping[str, Source]) -> None:
    """Raise SpecError if the set passes the target on: a feature by its name, and an input that has it."""
    column = model.truth.column
    holders = [name for name in features.inputs if name in sources and column in sources[name].columns]
    if column in features.columns and holders:
        raise SpecError(
            f"key 'features': feature set '{features.name}' has the column '{column}' of source '{holders[0]}', "
            f"which is this model's target: it would learn the answer. Take it out of FEATURES['columns']; if it holds "
            f"earlier values only, give it a name that says so ({column}_7d)"
        )


def check_target_comes_later(model: Model, features: FeatureSet, sources: Mapping[str, Source]) -> None:
    """Raise SpecError if the features of a model know its target as soon as they know what a row is about."""
    column, source = model.truth.column, sources[model.truth.source]
    early = [
        name
        for name in features.inputs
        if is_of_one_file(sources[name], source)
        and column in sources[name].columns
        and _offset(sources[name]) > _offset(source)
    ]
    if early:
        raise SpecError(
            f"key 'target': source '{early[0]}' of feature set '{features.name}' reads '{column}' of the same file "
            f"{_offset(sources[early[0]]) - _offset(source)} days before source '{source.name}' makes it known; take "
            f"it out of the columns of '{early[0]}', and with it whatever becomes known only then"
        )
    if not source.known_at and is_announced_with_its_outcome(features, source, column):
        raise SpecError(
            f"key 'target': the rows of source '{source.name}' that feature set '{features.name}' is about hold "
            f"'{column}' themselves, so it is known before the night that is to predict it. Let two sources read "
            f"the file, one of what is known beforehand and one of what came of it: `nightshift new source "
            f"{source.name} ... --outcome {column}`. If the set names days to come itself, put the day into its entity"
        )


def is_announced_with_its_outcome(features: FeatureSet, source: Source, column: str) -> bool:
    """Return whether only the target's own source can tell a night its entities, in rows that hold the target.

    Not so where a date or an instant is part of the entity and the rows are of earlier days: the night says what it
    is about. Nor where the target may be null, to be filled in by a later row.
    """
    if set(features.inputs) != {source.name} or column not in source.columns:
        return False
    ahead = isinstance(source.connector, FilesConnector) and _offset(source) >= 0
    kinds = {source.columns[name].type for name in features.entity if name in source.columns}
    return not source.columns[column].nullable and (ahead or not kinds & {"date", "timestamp"})


def is_of_one_file(one: Source, other: Source) -> bool:
    """Return whether two sources read the same files."""
    places = [
        (c.path, c.folder, c.connection)
        for c in (one.connector, other.connector)
        if isinstance(c, FilesConnector)
    ]
    return len(places) == 2 and places[0] == places[1]


def _offset(source: Source) -> int:
    return source.connector.offset_days if isinstance(source.connector, FilesConnector) else 0
