"""Which nights to announce: those whose content is news. And which feature nights a corrected batch makes stale.

An announcement is remembered with the hash of what was announced. A run that finds the same content again
wakes nobody; the run that wrote it may announce it again, since its first announcement may have been lost, and so does
the next one if that run died before it said anything. A feature night whose build did not end is owed: whichever of its
sources is collected again has it built, for it or for what it looks back on: a build at work may have read what was
there before. One whose build never began, since Airflow keeps no announcement for a DAG that is paused, is missed: the
next night has it built.
"""

from datetime import date, datetime, timedelta
from typing import Literal

from nightshift.calendar import DateRange
from nightshift.platform import Platform, Try
from nightshift.records import deliveries, features
from nightshift.records.deliveries import Announcement, Content
from nightshift.specs import FeatureSet
from nightshift.warehouse import feature_table

Choice = Literal["changed", "wake", "leave"]
LONGEST_MISSED = timedelta(days=30)
# Airflow starts what an announcement completes within seconds.
ON_ITS_WAY = timedelta(minutes=1)
# Predictions have no hash: they are written when their features changed, or because somebody asked.
CONTENTS = {"raw": deliveries.CONTENTS, "features": features.CONTENTS}


def announce(
    platform: Platform, asset: str, nights: list[date], asked: Try, *, choice: Choice, rebuilt: bool = False
) -> list[date]:
    """Return the nights to announce on ``asset`` (``raw.weather``), and remember the decision on each.

    Args:
        choice: ``changed`` announces news only, ``wake`` every night, ``leave`` none.
        rebuilt: an input was corrected. A night that was never announced, such as history, stays unannounced, unless
            all sources of the set had announced it and nothing was said of it since.
    """
    if not nights:
        return []
    kind, _, name = asset.partition(".")
    span = DateRange(min(nights), max(nights))
    contents = {each.batch_date: each.content_sha256 for each in _contents(platform, kind, name, span)}
    told = platform.warehouse.all(deliveries.ANNOUNCED, asset=asset, first=span.first, last=span.last)
    known = {each.batch_date: each for each in told}
    if rebuilt and kind == "features":
        unsaid = [night for night in nights if night not in known]
        first = _told_by_all(platform, _set_of(platform, name), unsaid)
    else:
        first = []
    news = [n for n in nights if n in first or _is_news(known.get(n), contents.get(n), asked, rebuilt)]
    chosen = {"changed": news, "wake": nights, "leave": []}[choice]
    # Not those that are no news: what was said of them still holds.
    decided = nights if choice == "leave" else chosen
    with platform.warehouse.session() as session:
        session.each(
            deliveries.ANNOUNCE,
            [
                Announcement(
                    asset=asset,
                    batch_date=night,
                    announced=choice != "leave",
                    content_sha256=contents.get(night),
                    run_id=asked.run_id,
                    first_run_id=None if choice == "leave" else asked.run_id,
                )
                for night in decided
            ],
        )
    return chosen


def corrected(platform: Platform, source: str, asked: Try, *, since: date | None = None) -> list[date]:
    """Return the nights of ``source`` whose accepted rows this run has changed.

    ``since``: also those since then that another run has changed, and did not live to announce.
    """
    found = platform.warehouse.all(deliveries.CHANGED_BY, source=source, run_id=asked.run_id, since=since)
    return [each.batch_date for each in found]


def leave(platform: Platform, source: str, asked: Try) -> None:
    """Remember that what this run has changed is left unsaid: the next run would say it, as if this one had died."""
    nights = corrected(platform, source, asked)
    announce(platform, f"raw.{source}", nights, asked, choice="leave")


def reached(feature_set: FeatureSet, source: str, changed: list[date]) -> list[date]:
    """Return the nights of ``feature_set`` that look back on one of the batches ``changed`` of ``source``."""
    days = range(feature_set.inputs[source].look_back_days + 1)
    return sorted({night + timedelta(days=day) for night in changed for day in days})


def stale(platform: Platform, feature_set: FeatureSet, source: str, changed: list[date]) -> list[date]:
    """Return the nights of ``feature_set`` that were built from batches of ``source`` which have changed since."""
    if not changed:
        return []
    nights = reached(feature_set, source, changed)
    built = platform.warehouse.all(
        features.NIGHTS,
        feature_set=feature_set.set,
        version=feature_set.version,
        first=nights[0],
        last=nights[-1],
    )
    return sorted({each.batch_date for each in built} & {*nights})


def owed(
    platform: Platform, feature_set: FeatureSet, source: str, nights: list[date], asked: Try
) -> list[date]:
    """Return those of ``nights`` that all sources have announced, whose build has begun and did not end.

    Not those that this run is the first to announce for ``source``: Airflow starts these by itself.
    """
    if not nights:
        return []
    asset, span = f"raw.{source}", {"first": min(nights), "last": max(nights)}
    before = {
        each.batch_date
        for each in platform.warehouse.all(deliveries.ANNOUNCED, asset=asset, **span)
        if each.announced and each.first_run_id != asked.run_id
    }
    unfinished = platform.warehouse.all(
        features.UNFINISHED,
        table=feature_table(feature_set).qualified,
        nights=sorted(before & set(nights)),
        feature_set=feature_set.set,
        version=feature_set.version,
    )
    return _told_by_all(platform, feature_set, [each.batch_date for each in unfinished])


def missed(platform: Platform, feature_set: FeatureSet, source: str, night: date) -> list[date]:
    """Return the nights of the month before ``night`` that all sources have announced, and whose build never began.

    Only for one source of the set, the first by name: each would have them built. Not those before the first night
    that was built: a new version of a set owes no history. Not what was said in the minute before ``night`` itself was:
    its run may be on its way.
    """
    if source != min(feature_set.inputs):
        return []
    found = platform.warehouse.all(
        features.NEVER_BEGUN,
        table=feature_table(feature_set).qualified,
        **month_before(night),
        feature_set=feature_set.set,
        version=feature_set.version,
    )
    own = platform.warehouse.all(deliveries.ANNOUNCED, asset=f"raw.{source}", first=night, last=night)
    before = own[0].decided_at - ON_ITS_WAY if own else None
    return _told_by_all(platform, feature_set, [each.batch_date for each in found], before)


def month_before(night: date) -> dict[str, date]:
    """Return the parameters of a question for what was missed before ``night``."""
    return {"night": night, "first": night - LONGEST_MISSED, "last": night - timedelta(days=1)}


def _told_by_all(
    platform: Platform, feature_set: FeatureSet, nights: list[date], before: datetime | None = None
) -> list[date]:
    """Return those of ``nights`` that every source of the set has announced, and before when."""
    if not nights:
        return []
    found = set(nights)
    for source in feature_set.inputs:
        told = platform.warehouse.all(
            deliveries.ANNOUNCED, asset=f"raw.{source}", first=min(nights), last=max(nights)
        )
        said = {
            each.batch_date for each in told if each.announced and not (before and each.decided_at > before)
        }
        found &= said
    return sorted(found)


def _set_of(platform: Platform, table: str) -> FeatureSet:
    return next(spec for spec in platform.project.feature_sets.values() if spec.table == table)


def _contents(platform: Platform, kind: str, name: str, span: DateRange) -> list[Content]:
    if kind not in CONTENTS:
        return []
    return platform.warehouse.all(CONTENTS[kind], name=name, first=span.first, last=span.last)


def _is_news(known: Announcement | None, content: str | None, asked: Try, rebuilt: bool) -> bool:
    if known is None or not known.announced:
        return not rebuilt
    same = content is not None and known.content_sha256 == content
    return not same or known.run_id == asked.run_id
