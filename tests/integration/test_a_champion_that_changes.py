"""A promotion or a rollback that comes while a night is scored: the night is the champion's that the ledger names."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta

import pytest

from integration.champions import MODEL, better, interrupted, judged, promoted
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.database import Session
from nightshift.errors import ChampionChanged, RequestError
from nightshift.govern import Ledger
from nightshift.records.features import PREDICTED, SCORED
from nightshift.records.ledger import LOCK
from nightshift.stages import Platform, Try

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
NIGHT = date(2013, 2, 6)


def test_a_night_that_was_scored_by_another_than_its_champion_is_not_written(loop: Platform) -> None:
    judged(better(loop), MODEL, NIGHT, "meanwhile")
    done = []

    def promote() -> None:
        if not done:
            done.append(stages.promote(loop, MODEL, NIGHT, Try("meanwhile"), actor="somebody"))

    registry = interrupted(loop.registry.uri, "model_bytes", promote, after=True)
    with pytest.raises(ChampionChanged, match="tried again"):
        stages.score(replace(loop, registry=registry), MODEL, DateRange(NIGHT, NIGHT), Try("night"))
    assert done[0]["effective_from"] == str(NIGHT)
    told = "SELECT model_version FROM catalog.prediction_batches WHERE batch_date = %s AND arm = 'champion'"
    assert loop.warehouse.rows(told, (NIGHT,)) == []
    scored = stages.score(loop, MODEL, DateRange(NIGHT, NIGHT), Try("night"))
    assert scored["version"] == done[0]["version"] == Ledger(loop.warehouse, MODEL).champion_on(NIGHT).version


def is_scored(session: Session, night: date) -> None:
    """Record a night as the one before it was scored."""
    batch = session.one(PREDICTED, model=MODEL, batch_date=night - DAY)
    assert batch
    session.run(SCORED, replace(batch, batch_date=night))


def meanwhile(platform: Platform, night: date, change: Callable[[], dict]) -> dict:
    """Return what a change of champion comes to that begins just before ``night`` is committed as scored."""
    with ThreadPoolExecutor(1) as pool:
        with platform.warehouse.session() as session:
            session.run(LOCK, model=MODEL)
            changed = pool.submit(change)
            with pytest.raises(TimeoutError):
                changed.result(timeout=2)
            is_scored(session, night)
        return changed.result()


def test_a_promotion_that_a_night_overtakes_begins_with_the_next(loop: Platform) -> None:
    judged(better(loop), MODEL, NIGHT, "meanwhile")
    done = meanwhile(
        loop, NIGHT, lambda: dict(stages.promote(loop, MODEL, NIGHT, Try("meanwhile"), actor="somebody"))
    )
    assert done["effective_from"] == str(NIGHT + DAY)


def test_a_rollback_that_a_night_overtakes_begins_with_the_next(loop: Platform) -> None:
    promoted(better(loop), MODEL, NIGHT, "bad")
    with loop.warehouse.session() as session:
        is_scored(session, NIGHT)

    def back(again: DateRange | None) -> dict:
        given = {"to": None, "reason": "it is bad", "actor": "olga"}
        return dict(stages.roll_back(loop, MODEL, Try("back"), again=again, **given))

    with pytest.raises(RequestError, match=f"the night of {NIGHT + DAY} was scored meanwhile"):
        meanwhile(loop, NIGHT + DAY, lambda: back(DateRange(NIGHT, NIGHT)))
    assert meanwhile(loop, NIGHT + 2 * DAY, lambda: back(None))["effective_from"] == str(NIGHT + 3 * DAY)
