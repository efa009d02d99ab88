"""Policies: which candidate of a bank is in service on each night, had one retrained that way.

A policy sees a bank from a start on: the candidate that is the first champion. What is trained on a night serves from
the next one on, as in production.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightshift.govern import Candidate as Judged
from nightshift.govern import Evidence, Trial
from nightshift.govern import evaluate as evaluated
from nightshift.govern.gates import GATES
from nightshift.replay.bank import Bank
from nightshift.specs import Gate

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Served:
    """``serving``: of each night from the start's first on, the index of the candidate. ``started``: trainings after
    the first champion's, of which ``promoted`` were.
    """

    serving: Ints
    started: int
    promoted: int


Policy = Callable[[Bank, int], Served]
NEVER = "never"
DECLARED = "as declared"
# Every so many days.
CALENDARS = (7, 28, 56)
# Gates that load the file of a version: a candidate has none.
OF_A_FILE = {"latency", "size"}
BY_CALENDAR = re.compile(r"every (?:(\d+) )?(week|night)s?(?:,|$)")


def calendars(every: int) -> dict[str, int]:
    """Return days by name: the usual calendars, and each candidate of a bank that has one every so many days."""
    days = sorted({every, *(each for each in CALENDARS if each > every)})
    return {_in_words(each): each for each in days}


def days_of(policy: str) -> int | None:
    """Return the days of the calendar that a policy is named by, or None."""
    found = BY_CALENDAR.match(policy)
    return int(found[1] or 1) * (7 if found[2] == "week" else 1) if found else None


def _in_words(days: int) -> str:
    number, unit = (days // 7, "week") if days % 7 == 0 else (days, "night")
    return f"every {unit}" if number == 1 else f"every {number} {unit}s"


def never(bank: Bank, start: int) -> Served:
    """Keep the first champion."""
    return Served(np.full(len(bank.nights) - bank.serves_from(start), start), 0, 0)


def every(days: int, *, gated: bool) -> Policy:
    """Return the policy that trains every so many days, or with the next candidate after; gated: as the spec says.

    As in production, what the gate could not compare fairly with the champion is not trained.
    """

    def policy(bank: Bank, start: int) -> Served:
        champion, started, promoted = start, 0, 0
        due = bank.candidates[start].as_of + timedelta(days=days)
        changes = [(bank.serves_from(start), start)]
        for number in range(start + 1, len(bank.candidates)):
            as_of = bank.candidates[number].as_of
            if as_of < due or bank.serves_from(number) >= len(bank.nights):
                continue
            if gated and not bank.is_fair(number, champion):
                continue
            due, started = as_of + timedelta(days=days), started + 1
            if not gated or passes(bank, number, champion):
                champion, promoted = number, promoted + 1
                changes.append((bank.serves_from(number), number))
        return Served(filled(bank, changes), started, promoted)

    return policy


def always(bank: Bank, start: int) -> Served:
    """Put every candidate in service."""
    return every(1, gated=False)(bank, start)


def oracle(cost: float = 0.0) -> Policy:
    """Return the best there is in hindsight: for each night the candidate that makes the total loss least.

    ``cost``: of putting another in service, in the loss of one night. By dynamic programming over nights.
    """

    def policy(bank: Bank, start: int) -> Served:
        first = bank.serves_from(start)
        loss = np.where(np.isnan(bank.loss), np.inf, bank.loss)[start:, first:]
        total = np.full(len(loss), np.inf)
        total[0] = 0.0
        back = np.empty(loss.shape, dtype=np.int64)
        for night in range(loss.shape[1]):
            best = int(np.argmin(total))
            changed = total[best] + cost < total
            back[:, night] = np.where(changed, best, np.arange(len(total)))
            total = np.where(changed, total[best] + cost, total) + loss[:, night]
        serving = np.empty(loss.shape[1], dtype=np.int64)
        now = int(np.argmin(total))
        for night in reversed(range(loss.shape[1])):
            serving[night] = now
            now = back[now, night]
        changes = int(np.count_nonzero(np.diff(np.concatenate([[0], serving]))))
        return Served(serving + start, changes, changes)

    return policy


def passes(bank: Bank, challenger: int, champion: int) -> bool:
    """Return whether a candidate meets those gates of the spec that look at scores, on its own holdout.

    The ones that load a file are not asked: there is none. A champion that was fitted on a day of the holdout is no
    fair opponent, as in production: the training fails.
    """
    mine, theirs = bank.candidates[challenger], bank.candidates[champion]
    dates = mine.dates
    if not bank.is_fair(challenger, champion):
        return False
    within = bank.rows["batch_date"].between(
        pd.Timestamp(dates.holdout_first), pd.Timestamp(dates.holdout_last)
    )
    there = within.to_numpy()
    if not there.any():
        return False
    evaluation = evaluated(
        bank.model.kind,
        bank.rows[there],
        mine.predictions[there],
        theirs.predictions[there],
        slices=bank.model.slices,
        asked=bank.model.gate_metrics,
    )
    evidence = Evidence(
        as_of=mine.as_of,
        holdout_first=dates.holdout_first,
        evaluation=evaluation,
        challenger=Judged(challenger, dates.train_last),
        champion=Judged(champion, bank.trained_until(champion)),
        trial=Trial(0, 0, 0.0, 0),
        trained={},
        live={},
    )
    return all(GATES[gate.gate](gate, evidence)[0] for gate in _of_scores(bank.model.gates))


def _of_scores(gates: list[Gate]) -> list[Gate]:
    return [gate for gate in gates if gate.gate not in OF_A_FILE]


def filled(bank: Bank, changes: list[tuple[int, int]]) -> Ints:
    """Return who serves each night since the first change: each serves from its night on, until the next does."""
    serving = np.empty(len(bank.nights), dtype=np.int64)
    for night, candidate in changes:
        serving[night:] = candidate
    return serving[changes[0][0] :]
