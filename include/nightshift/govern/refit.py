"""The refit: whether what will serve is still the model that was judged.

It is the same recipe, fitted on the holdout's rows as well, so no score on them judges it. What can be asked of it is
what is true of every fit that has seen these rows. Of two fits of one recipe, each the best on its own rows, the one
that has seen the holdout is no worse there: were it, the other would be better on all rows together. It moves from what
was judged towards the truth, so not farther than the truth is away. And it is not surer than the truth allows; less
sure it may be: a forest that remembers its rows is.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from nightshift import metrics
from nightshift.bootstrap import Array
from nightshift.govern.evaluation import Part, evaluate
from nightshift.metrics import METRICS, Task

# Of the judged fit's own score, and of the metric's unit: fits differ by so much without a reason.
TOLERANCE, FLOOR = 0.01, 0.001
# By how much of the outcomes' standard deviation the mean may move away from theirs.
MEAN_TOLERANCE = 0.05
CONFIDENCE = 0.9
# Of a holdout of one number, whose outcomes do not deviate, what rounding makes of two fits.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Refit:
    """What serves beside what was judged, on the rows of the holdout, which what serves has seen.

    ``last``: the last night of its rows. ``metric``: that the two are compared by, ``part``: what serves as the
    challenger, what was judged as the champion, and ``margin``: by how much it may be worse. ``apart``, ``error``: root
    mean square of the difference of the two's predictions, and of the judged one's from the truth. ``bias``: by how
    much what serves misses the mean outcome farther than what was judged does, in standard deviations of outcomes.
    ``unit``: that standard deviation. ``overconfidence``: as :func:`nightshift.metrics.overconfidence`.
    """

    last: date
    metric: str
    part: Part
    margin: float
    apart: float
    error: float
    bias: float
    unit: float
    overconfidence: float | None

    @property
    def faults(self) -> list[str]:
        """In words what no refit of what was judged would do; none if it may serve."""
        return [words for asked in (_worse, _far, _biased) if (words := asked(self))]


def compare_fits(
    task: Task, holdout: pd.DataFrame, judged: Array, served: Array, *, metric: str, last: date
) -> Refit:
    """Return how what serves stands to what was judged, by their predictions of the holdout's n rows.

    ``judged``, ``served``: as :data:`nightshift.metrics.METRICS` takes them. ``metric``: by which challengers of the
    model are judged.
    """
    label = holdout["label"].to_numpy(dtype="float64")
    truth = label if judged.ndim == 1 else (label[:, None] == np.arange(judged.shape[1])).astype("float64")
    part = evaluate(task, holdout, served, judged, asked={metric}).overall
    unit = max(float(truth.std(axis=0).max()), ROUNDING * float(np.abs(truth).max()))
    missed = [np.abs((each - truth).mean(axis=0)) for each in (served, judged)]
    score = (part.champion or {}).get(metric) or 0.0
    return Refit(
        last=last,
        metric=metric,
        part=part,
        margin=TOLERANCE * abs(score) + FLOOR * (unit if metrics.METRICS[metric].in_unit else 1.0),
        apart=_rms(served - judged),
        error=_rms(judged - truth),
        bias=float((missed[0] - missed[1]).max()) / unit if unit else 0.0,
        unit=unit,
        overconfidence=None if task == "regression" else metrics.overconfidence(label, served),
    )


def _rms(difference: Array) -> float:
    return float(np.sqrt(np.mean(difference**2)))


def _worse(found: Refit) -> str | None:
    gain = found.part.gain(found.metric)
    if gain is None:
        return f"{found.metric} is undefined"
    surely = found.part.share_of_losses(found.metric, -found.margin)
    if gain >= -found.margin or surely < CONFIDENCE:
        return None
    mine, theirs = (scores[found.metric] for scores in (found.part.challenger, found.part.champion or {}))
    than = "less" if METRICS[found.metric].greater_is_better else "more"
    return f"{found.metric} {mine:.4f} on the holdout, which it has seen: {than} than {theirs:.4f} of what was judged"


def _far(found: Refit) -> str | None:
    most = (1 + TOLERANCE) * found.error + FLOOR * found.unit
    if found.apart <= most:
        return None
    return (
        f"its predictions are {found.apart:.4g} from those of what was judged, which are {found.error:.4g} from the "
        "truth (root mean square)"
    )


def _biased(found: Refit) -> str | None:
    if found.bias <= MEAN_TOLERANCE:
        return None
    return f"its mean prediction misses the mean outcome by {found.bias:.2f} standard deviations more"
