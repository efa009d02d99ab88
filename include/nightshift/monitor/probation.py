"""Is the new champion surely worse than the version before? Both scored the same nights; one is read by nobody.

What is looked at is the difference of their mean losses, night by night. How far it moves by itself is known from the
holdout of the gate, where both were measured on the same rows. Evidence is a test martingale (Ville's inequality;
Ramdas, Grünwald, Vovk and Shafer 2023, "Game-theoretic statistics and safe anytime-valid inference", Statistical
Science 38(4)): the product over nights of likelihood ratios of a shift of so many standard deviations against none,
averaged over sizes. It may be looked at every night: a champion that is as good passes 100 in one of 100 probations.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri, stdtr

from nightshift.monitor.shift import DOUBT, LARGEST, SIZES
from nightshift.records.decisions import PairedNight

# Fewer nights at the gate do not say how far a difference moves by itself.
FEWEST_NIGHTS = 5
# A difference below so much of the loss is none that anybody would roll back for.
SMALLEST_SHARE = 0.005


def evidence(gate: Sequence[PairedNight], differences: Sequence[float]) -> float:
    """Return the evidence that the loss is greater than that of the version before: 1 says nothing, 0 never.

    ``gate``: both on the nights of the holdout. ``differences``: of each night since the promotion with labels, the
    champion's mean loss less the other's. 1.0 where the gate had fewer than five nights, or none is known yet.
    """
    if len(gate) < FEWEST_NIGHTS or not len(differences):
        return 1.0
    then = np.array([night.challenger - night.champion for night in gate])
    loss = float(np.mean([night.champion for night in gate]))
    # The next night differs from a mean that is itself of so few nights.
    spread = np.sqrt(then.var(ddof=1) * (1 + 1 / len(then)) + (SMALLEST_SHARE * loss) ** 2)
    apart = np.asarray(differences, dtype=np.float64) / spread
    normal = -ndtri(np.clip(stdtr(len(then) - 1, -np.abs(apart)), 1e-300, 0.5))
    signed = np.sign(apart) * np.clip(normal - DOUBT, 0.0, LARGEST)
    logs = signed[:, None] * SIZES - SIZES**2 / 2
    return float(np.exp(logs.sum(axis=0)).mean())
