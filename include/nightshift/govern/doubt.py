"""Doubt: a score that is too good to be true. A feature that is known only with the target makes one.

A small holdout may be lucky. So the rows that were fitted on must say the same, out of fold, and there must be enough
rows beside those of the most frequent class to say anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightshift.govern.evaluation import Scores
from nightshift.metrics import METRICS, Task

FEWEST_ROWS = 30


@dataclass(frozen=True)
class Doubt:
    """A score of the holdout that is too good, and ``alone``: what each feature reaches without the others.

    ``expected``: why the spec says that it is right.
    """

    metric: str
    score: float
    alone: Mapping[str, float]
    expected: str | None = None

    @property
    def culprits(self) -> list[str]:
        """The features that are too good alone, or else the two that tell most; each with its score."""
        ranked = sorted(self.alone.items(), key=lambda item: -item[1])
        guilty = [one for one in ranked if one[1] > METRICS[self.metric].too_good]
        return [f"{name} ({score:.4f})" for name, score in (guilty or ranked[:2])[:5]]

    @property
    def words(self) -> str:
        """The score, the limit it passes, and who did it."""
        alone = any(score > METRICS[self.metric].too_good for score in self.alone.values())
        who = "alone as good" if alone else "no feature is alone as good, the most telling are"
        return (
            f"{self.metric} {self.score:.4f} on the holdout is above {METRICS[self.metric].too_good:g}, too good to be "
            f"true; {who}: {', '.join(self.culprits) or 'none'}"
        )


def too_good(
    task: Task, holdout: Scores, out_of_fold: Scores, label: NDArray[np.float64]
) -> tuple[str, float] | None:
    """Return the metric that is too good on the holdout, and its score; None if none is.

    ``out_of_fold``: the same metrics on the rows that were fitted on, as far as they are known. ``label``: of all rows.
    """
    others = (
        label.size if task == "regression" else label.size - np.unique(label, return_counts=True)[1].max()
    )
    if others < FEWEST_ROWS:
        return None
    for name, value in holdout.items():
        limit, inside = METRICS[name].too_good, out_of_fold.get(name)
        if value is not None and value > limit and (inside is None or inside > limit):
            return name, value
    return None
