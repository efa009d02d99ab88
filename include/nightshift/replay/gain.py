"""What a training gains, by how many nights ago the one in service was fitted: learned from a bank."""

from datetime import date

import numpy as np
from sklearn.isotonic import IsotonicRegression

from nightshift.records.replays import GainByAge
from nightshift.replay.bank import Bank

# Fewer nights with two candidates to compare are no curve.
FEWEST_NIGHTS = 28


def gain_by_age(bank: Bank, last: date | None = None) -> GainByAge | None:
    """Return the mean loss of a candidate less that of the newest one on the same night, by the nights since its fit.

    Of nights up to ``last``; each counts the same. A model does not get better with age: the curve never falls
    (isotonic regression; Barlow, Bartholomew, Bremner and Brunk 1972), and is 0 where only the newest is that young.
    None: fewer than 28 nights have an older candidate to compare with.
    """
    within = np.array([last is None or night <= last for night in bank.nights])
    loss = np.where(within, bank.loss, np.nan)
    served = ~np.isnan(loss)
    compared = served.sum(axis=0) > 1
    if np.count_nonzero(compared) < FEWEST_NIGHTS:
        return None
    newest = len(loss) - 1 - np.argmax(served[::-1], axis=0)
    gained = loss - loss[newest, np.arange(loss.shape[1])]
    fitted = np.array([bank.trained_until(number).toordinal() for number in range(len(loss))])
    ages = np.array([night.toordinal() for night in bank.nights]) - fitted[:, None]
    pairs = served & compared
    weights = np.broadcast_to(1 / np.maximum(served.sum(axis=0), 1), loss.shape)[pairs]
    curve = IsotonicRegression(y_min=0.0, out_of_bounds="clip").fit(ages[pairs], gained[pairs], weights)
    oldest = int(ages[pairs].max())
    return GainByAge(
        gains=tuple(float(gain) for gain in curve.predict(np.arange(oldest + 1))),
        nights=int(np.count_nonzero(compared)),
    )
