"""Classes: what an estimator is told to learn, and which column of its answer is whose probability.

An estimator of several classes learns their texts, not their numbers: its file says what its columns mean, whatever the
order in which a spec lists the classes later.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightshift.errors import SchemaMismatch
from nightshift.specs import Model

Floats = NDArray[np.float64]
# Probabilities that were computed in single precision miss 1 by less, those that are none by more.
MISSED, NO_PROBABILITIES = 1e-8, 1e-3


def learned(model: Model, label: pd.Series) -> Any:
    """Return what the estimator learns for labels: 0 and 1, the texts of the classes, or the values. Shape (n,)."""
    if model.kind == "multiclass":
        return np.array(model.classes)[label.to_numpy(dtype="int64")]
    return label.astype(int) if model.kind == "classification" else label


def positive(known: NDArray[Any], found: Floats) -> Floats:
    """Return P(1), shape (n,), of an estimator that was fitted on 0 and 1.

    Raises:
        SchemaMismatch: it knows other classes, or what it says is no probability.
    """
    if _texts(known) != ["0", "1"]:
        raise SchemaMismatch(
            f"the model knows the classes {', '.join(_texts(known)[:5])}, and the spec says one against the rest "
            "(above, equals), which is fitted on 0 and 1; train again"
        )
    _require_probabilities(found)
    return np.asarray(found[:, 1], dtype="float64")


def each(known: NDArray[Any], found: Floats, classes: Sequence[str]) -> Floats:
    """Return P(class), shape (n, classes), in the order of ``classes``; one that was in no row to fit on has 0.

    ``known``: the estimator's classes, in the order of the columns of ``found``.

    Raises:
        SchemaMismatch: it knows a class that is not among ``classes``, or what it says is no probability.
    """
    there = _texts(known)
    lost = sorted(set(there) - set(classes))
    if lost:
        raise SchemaMismatch(
            f"the model knows the class '{lost[0]}', target.classes does not: where would its probability go? Write "
            "it back. It may go once a version is champion that was trained on nights without it (train.window_days)"
        )
    probabilities = np.zeros((len(found), len(classes)))
    probabilities[:, [classes.index(name) for name in there]] = found
    off = _require_probabilities(probabilities)
    return probabilities / probabilities.sum(axis=1, keepdims=True) if off > MISSED else probabilities


def _require_probabilities(found: Floats) -> float:
    """Return by how much rows miss a sum of 1 at most. Raises SchemaMismatch if that is much, or one is below 0."""
    off = float(np.max(np.abs(found.sum(axis=1) - 1), initial=0.0))
    if not off <= NO_PROBABILITIES:  # also where it is NaN
        raise SchemaMismatch(
            f"the model's probabilities of a row must sum to 1; they miss it by up to {off:.3g}"
        )
    if (least := float(np.min(found, initial=0.0))) < -NO_PROBABILITIES:
        raise SchemaMismatch(f"the model's probabilities must not be below 0; the least is {least:.3g}")
    return off


def _texts(known: NDArray[Any]) -> list[str]:
    """Return an estimator's classes as a spec's are written: 1.0 and True, which a library made of 1, are "1"."""
    return [
        str(int(name) if not isinstance(name, str) and name == int(name) else name) for name in known.tolist()
    ]
