"""The policy that a spec declares: its reasons and its guards, night by night, as the verdicts would have had it.

Verdicts and answers come from the functions that decide in production. What differs: a training that is asked for is
the bank's next candidate, up to ``every`` nights later, and labels are known once they have matured.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd

from nightshift import retrain, train
from nightshift.monitor import harm, predictions, shift
from nightshift.monitor.profile import counted
from nightshift.monitor.sketches import edges_of, sketch
from nightshift.monitor.verdict import Seen, decide_night
from nightshift.records.monitoring import DriftResult, Harm, Shift, Started
from nightshift.records.profile import Profile
from nightshift.records.replays import GainByAge
from nightshift.records.sketches import Counts, Edges, Sketch
from nightshift.replay.bank import Bank, Floats, Learned
from nightshift.replay.gain import gain_by_age
from nightshift.replay.policies import Policy, Served, filled, passes
from nightshift.specs import Model

# The bins lie where the values of so many nights lie, as in production.
FIRST_NIGHTS = 28
# Of a night: what a replay says by then.
Gains = Callable[[date], GainByAge | None]


@dataclass(frozen=True)
class Watched:
    """The nights as they are watched: sketches of the same bins."""

    edges: Edges
    sketches: Mapping[date, Sketch]

    @classmethod
    def of(cls, rows: pd.DataFrame, columns: Sequence[str]) -> "Watched":
        """Return the nights of feature rows, sketched in bins of the first nights."""
        nights = dict(iter(rows.groupby(rows["batch_date"].dt.date)))
        first = [nights[day][list(columns)] for day in sorted(nights)[:FIRST_NIGHTS]]
        edges = edges_of(pd.concat(first, ignore_index=True), len(first))
        return cls(edges, {day: sketch(part, edges) for day, part in nights.items()})


def declared(watched: Watched, learned: Callable[[Bank, int], Learned]) -> Policy:
    """Return the policy of a bank's own spec. ``learned``: of a candidate by its number; asked of champions."""

    def policy(bank: Bank, start: int) -> Served:
        gains = _gains(bank)
        champion, started = _Champion.of(bank, watched, learned, start, gains), list[Started]()
        changes = [(bank.serves_from(start), start)]
        for night in bank.nights[bank.serves_from(start) :]:
            challenger = _challenger(bank, champion, night, started, start)
            if challenger is None:
                continue
            promoted = passes(bank, challenger, champion.number)
            started.insert(0, _started(bank, challenger, promoted=promoted))
            if promoted:
                champion = _Champion.of(bank, watched, learned, challenger, gains)
                changes.append((bank.serves_from(challenger), challenger))
        return Served(filled(bank, changes), len(started), len(changes) - 1)

    return policy


def _gains(bank: Bank) -> Gains:
    """Return what a replay would have said: when the newest candidate was made, of nights whose labels were in."""
    dates = [each.as_of for each in bank.candidates]
    replayed = cache(lambda as_of: gain_by_age(bank, as_of - timedelta(days=bank.model.matures_after_days)))

    def known(night: date) -> GainByAge | None:
        newest = bisect_right(dates, night)
        return replayed(dates[newest - 1]) if newest else None

    return known if bank.model.retrain.when.expected_gain is not None else lambda night: None


def _started(bank: Bank, number: int, *, promoted: bool) -> Started:
    as_of = bank.candidates[number].as_of
    return Started(
        batch_date=as_of, training_id=str(as_of), outcome=retrain.PROMOTED if promoted else "rejected"
    )


def _challenger(
    bank: Bank, champion: "_Champion", night: date, started: list[Started], start: int
) -> int | None:
    """Return the candidate that a night starts: None if it does not ask, a guard objects, or none can serve."""
    if started and night <= started[0].batch_date:
        return None  # the one that was asked for last is of this night, or later
    if not champion.asks(night) or not _may_start(bank, champion, night, started, start):
        return None
    return _next(bank, night)


def _next(bank: Bank, night: date) -> int | None:
    """Return the first candidate of a night or later that can still serve."""
    number = bisect_left([each.as_of for each in bank.candidates], night)
    fits = number < len(bank.candidates) and bank.serves_from(number) < len(bank.nights)
    return number if fits else None


def _may_start(bank: Bank, champion: "_Champion", night: date, started: list[Started], start: int) -> bool:
    model = bank.model
    fresh = [
        count
        for day, count in zip(bank.nights, bank.counts, strict=True)
        if champion.fitted_until < day <= night - timedelta(days=model.matures_after_days)
    ]
    request = retrain.Request(
        batch_date=night,
        reason="",
        started=tuple(started),
        promoted=None if champion.number == start else bank.candidates[champion.number].as_of,
        new_labels=int(np.sum(fresh)),
        fair_from=train.fair_from(model, champion.fitted_until),
    )
    return retrain.ask(model.retrain, request).may_start


def _counted(profile: Profile, dates: pd.Series, said: Floats) -> dict[date, Counts]:
    """Return the predictions a night, (n,) or (n, classes), as rows a bin of the profile's."""
    days = dates.dt.date.to_numpy()
    none = pd.DataFrame(index=range(len(days)))
    return {
        day: counted(profile, none[days == day], said[days == day]).predictions for day in np.unique(days)
    }


@dataclass(frozen=True)
class _Champion:
    """A candidate in service, with the evidence against it after each night."""

    number: int
    model: Model
    fitted_until: date
    shifts: Mapping[date, float]
    harms: Mapping[date, float]
    gains: Gains

    @classmethod
    def of(
        cls,
        bank: Bank,
        watched: Watched,
        learned: Callable[[Bank, int], Learned],
        number: int,
        gains: Gains,
    ) -> "_Champion":
        candidate, knows = bank.candidates[number], learned(bank, number)
        first, last = candidate.dates.train_first, candidate.dates.train_last
        training = {night: each for night, each in watched.sketches.items() if first <= night <= last}
        later = {night: each for night, each in watched.sketches.items() if night > last}
        served = (bank.rows["batch_date"] > pd.Timestamp(candidate.as_of)).to_numpy()
        rows = bank.rows[served]
        of_features = shift.evidence(
            shift.trained(watched.edges, training),
            shift.series(watched.edges, training, later),
            knows.importance,
        )
        said = candidate.predictions if candidate.said is None else candidate.said
        found = shift.joined(
            of_features,
            predictions.evidence(knows.profile, _counted(knows.profile, rows["batch_date"], said[served])),
        )
        losses = harm.night_losses(
            bank.model.kind,
            rows["batch_date"],
            rows["label"].to_numpy(dtype="float64"),
            candidate.predictions[served],
            knows.losses.base,
        )
        shifts = dict(zip(found.nights, found.totals, strict=True))
        grown = harm.after_each(knows.losses, losses)
        harms = {each.night: float(n) for each, n in zip(losses, grown, strict=False)}
        return cls(number, bank.model, bank.trained_until(number), shifts, harms, gains)

    def asks(self, night: date) -> bool:
        """Return whether the verdict of a night would ask for a training."""
        evidence = self.shifts.get(night)
        moved = None if evidence is None else Shift(evidence, shift.ALARM, len(self.shifts), (), "")
        seen = Seen(
            night=night,
            drift=DriftResult(shift=moved),
            harm=self._harm(night),
            fitted_until=self.fitted_until,
            gains=self.gains(night),
        )
        return decide_night(self.model, seen).retrain

    def _harm(self, night: date) -> Harm | None:
        known = night - timedelta(days=self.model.matures_after_days)
        matured = [day for day in self.harms if day <= known]
        if not matured:
            return None
        return Harm(self.harms[max(matured)], shift.ALARM, len(matured), 0.0, 0.0, "")
