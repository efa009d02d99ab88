"""Features of the newest night beside the training's, in the bins of the serving version's profile. Pure.

A profile names categories that are frequent and look like nobody's; the rest are "other" (``distributions.nameable``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from nightshift.records.profile import FeatureProfile
from nightshift.records.sketches import Counted


@dataclass(frozen=True)
class Histogram:
    """Shares of rows a bin, of the training and of the newest night that was counted; None: none was."""

    name: str
    bins: tuple[str, ...]
    then: tuple[float, ...]
    now: tuple[float, ...] | None


def histograms(profile: Sequence[FeatureProfile], counted: Counted | None) -> tuple[Histogram, ...]:
    """Return a histogram a feature. Counts of another profile's bins are left out."""
    night = counted.features if counted and len(counted.features) == len(profile) else None
    return tuple(
        Histogram(
            name=feature.name,
            bins=bins(feature),
            then=_shares(feature.counts),
            now=_shares(night[n]) if night and len(night[n]) == len(feature.counts) else None,
        )
        for n, feature in enumerate(profile)
    )


def bins(feature: FeatureProfile) -> tuple[str, ...]:
    """Return the bins' names, in the order of the counts."""
    if feature.kind == "category":
        named = (*feature.categories, "other")
    elif feature.kind == "boolean":
        named = ("false", "true")
    else:
        named = _ranges([f"{edge:.4g}" for edge in feature.edges])
    missing = len(feature.counts) - len(named)  # numbers may have a bin of what is not finite too
    return (*named, *("not finite", "missing")[2 - missing :]) if 0 < missing <= 2 else named


def _ranges(edges: list[str]) -> tuple[str, ...]:
    if not edges:
        return ("any",)
    return (
        f"below {edges[0]}",
        *(f"{low} to {high}" for low, high in pairwise(edges)),
        f"{edges[-1]} or more",
    )


def _shares(counts: Sequence[int]) -> tuple[float, ...]:
    rows = max(sum(counts), 1)
    return tuple(round(count / rows, 4) for count in counts)
