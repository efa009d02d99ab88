"""Which sources a feature column comes from: ``build`` alone knows, so it is asked, one source changed at a time."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from nightshift.errors import NightshiftError
from nightshift.specs import FeatureSet, Source

Frames = Mapping[str, pd.DataFrame]
Compute = Callable[[dict[str, pd.DataFrame]], pd.DataFrame]


def origins(
    spec: FeatureSet,
    compute: Compute,
    seen: Frames,
    rows: pd.DataFrame,
    sources: Mapping[str, Source],
    columns: Sequence[str],
) -> dict[str, list[str]]:
    """Return, of each of these columns of a night, the sources that its values come from, the likeliest first.

    First those without whose rows the night has the same entities and other values. Then those that bring the entities:
    whose values, dealt to one another's rows, change the column. All of them, if none does.

    Args:
        compute: the night's features of given inputs, as :func:`nightshift.featurise.compute` returns them.
        seen: what the night was built from.
        rows: what was built, (n, columns).
    """

    def changes(name: str, other: pd.DataFrame) -> set[str]:
        try:
            found = compute({**seen, name: other})
        except NightshiftError:  # without it, nothing comes out
            return set()
        if not found[spec.entity].equals(rows[spec.entity]):
            return set()
        return {column for column in columns if not found[column].equals(rows[column])}

    adds = {name: changes(name, frame.iloc[:0]) for name, frame in seen.items()}
    brings = {name: changes(name, _dealt(frame, sources[name])) for name, frame in seen.items()}
    found = {
        column: list(dict.fromkeys([*_having(adds, column), *_having(brings, column)])) for column in columns
    }
    return {column: names or sorted(seen) for column, names in found.items()}


def _having(changed: Mapping[str, set[str]], column: str) -> list[str]:
    return sorted(name for name, columns in changed.items() if column in columns)


def _dealt(frame: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Return the rows, each with the values of the one before it; keys and times of being known stay."""
    kept = {*source.key, "batch_date", "known_at", source.known_at}
    order = np.roll(np.arange(len(frame)), 1)  # of no rows too: an empty list would be floats
    return frame.assign(**{name: frame[name].array.take(order) for name in frame.columns if name not in kept})
