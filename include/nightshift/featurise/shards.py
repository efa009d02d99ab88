"""Shards of a night: what a set declares to belong together stays together, so each is built by itself.

What is built of shards must be what is built of all rows, to the bit. ``check features NAME --shards`` compares both on
nights of the warehouse; each build in shards compares two of them with both together (:func:`require_alike`).
"""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd

from nightshift.errors import BatchRejected, NightshiftError
from nightshift.featurise import Build, compute, compute_part
from nightshift.featurise.built import no_rows
from nightshift.featurise.leaks import Case, Finding, differing
from nightshift.freeform import Values
from nightshift.specs import FeatureSet

Frames = Mapping[str, pd.DataFrame]
# Into so many a night is dealt to be compared.
NUMBERS = (2, 7, 64)


def hashes(rows: pd.DataFrame, by: Sequence[str]) -> np.ndarray:
    """Return a number for each row, (n,) uint64, that is the same wherever these columns hold the same."""
    return pd.util.hash_pandas_object(rows[list(by)], index=False).to_numpy()


def dealt(spec: FeatureSet, frames: Frames, numbers: int) -> list[dict[str, pd.DataFrame]]:
    """Return so many shards of a set's inputs."""
    if spec.shards is None:
        return [dict(frames)]
    by = spec.shards.by
    shard_of = {name: hashes(frames[name], by) % np.uint64(numbers) for name in spec.shards.deals(frames)}
    return [
        {
            name: frame[shard_of[name] == number].reset_index(drop=True) if name in shard_of else frame.copy()
            for name, frame in frames.items()
        }
        for number in range(numbers)
    ]


def _built(
    spec: FeatureSet, build: Build, shards: list[dict[str, pd.DataFrame]], batch_date: date
) -> pd.DataFrame:
    """Return a night as it comes out of its shards, ordered by entity.

    Raises:
        BatchRejected: a shard's result is not what the set declares, or two have rows of one entity.
    """
    parts = [compute_part(spec, build, shard, batch_date) for shard in shards]
    found = [part for part in parts if part is not None]
    if not found:
        raise no_rows(spec, batch_date)
    rows = pd.concat(found).sort_values(spec.entity, ignore_index=True)
    twice = rows.duplicated(spec.entity).to_numpy()
    if twice.any():
        first = rows.iloc[int(twice.argmax())]
        raise BatchRejected(repeated(spec, batch_date, {name: first[name] for name in spec.entity}))
    return rows


def check(case: Case) -> list[Finding]:
    """Return a finding a number of shards: whether they come to what all rows of the night come to."""
    seen = case.see(case.frames, case.spec, case.calendar, case.night)
    expected = compute(
        case.spec, case.load(), {name: frame.copy() for name, frame in seen.items()}, case.night
    )
    return [_finding(case, seen, expected, numbers) for numbers in NUMBERS]


def _finding(case: Case, seen: Frames, expected: pd.DataFrame, numbers: int) -> Finding:
    by = case.spec.shards.deals(seen) if case.spec.shards else []
    shards = dealt(case.spec, seen, numbers)
    each = [sum(len(shard[name]) for name in by) for shard in shards]
    attack = f"dealt into {numbers} shards, {sum(map(bool, each))} with rows"
    try:
        changed, columns = differing(case.spec, expected, _built(case.spec, case.load(), shards, case.night))
    except NightshiftError as error:
        return Finding(attack, sum(each), len(expected), len(expected), [str(error)])
    return Finding(attack, sum(each), len(expected), changed, columns)


def require_alike(spec: FeatureSet, apart: pd.DataFrame, together: pd.DataFrame, batch_date: date) -> None:
    """Raise BatchRejected, naming the columns, unless two shards come to the same ``apart`` and ``together``."""
    changed, columns = differing(spec, together, apart)
    if changed:
        raise BatchRejected(
            f"{spec.path}: build() for {batch_date}: {changed} of {len(together)} rows of two shards come out "
            f"otherwise when these are built together, in {', '.join(columns)}: they depend on rows of another "
            f"{_by(spec)}. Name the source of these in `shards.whole`, or take `shards` out, and see what "
            f"`nightshift check features {spec.name} --shards` says"
        )


def repeated(spec: FeatureSet, batch_date: date, entity: Values) -> str:
    """Return why a night is refused of which two shards have rows of one entity."""
    which = ", ".join(f"{name}={value!r:.60}" for name, value in entity.items())
    return (
        f"{spec.path}: build() for {batch_date}: two shards have rows of {which}; an entity belongs to one {_by(spec)} "
        "alone, or `shards` must go"
    )


def _by(spec: FeatureSet) -> str:
    return ", ".join(spec.shards.by) if spec.shards else ""
