"""Which nights to announce: those whose content is news. And which feature nights a corrected batch makes stale.

An announcement is remembered with the hash of what was announced. A run that finds the same content again
wakes nobody; the run that wrote it may announce it again, since its first announcement may have been lost.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Literal

from nightshift.specs import FeatureSet
from nightshift.stages.platform import Platform, Try

Choice = Literal["changed", "wake", "leave"]
DECIDED = (
    "INSERT INTO catalog.announcements (asset, batch_date, announced, content_sha256, run_id) "
    "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (asset, batch_date) DO UPDATE SET (announced, content_sha256, run_id, "
    "decided_at) = (excluded.announced, excluded.content_sha256, excluded.run_id, clock_timestamp())"
)
# Predictions have no hash: they are written when their features changed, or because somebody asked.
CONTENTS = {
    "raw": "SELECT batch_date, content_sha256 FROM catalog.batches "
    "WHERE source = %(name)s AND status = 'published' AND batch_date BETWEEN %(first)s AND %(last)s",
    "features": "SELECT batch_date, content_sha256 FROM catalog.feature_batches "
    "WHERE feature_set || '_v' || feature_version = %(name)s AND batch_date BETWEEN %(first)s AND %(last)s",
}


def announce(
    platform: Platform, asset: str, nights: list[date], asked: Try, *, choice: Choice, rebuilt: bool = False
) -> list[date]:
    """Return the nights to announce on ``asset`` (``raw.weather``), and remember the decision on each.

    Args:
        choice: ``changed`` announces news only, ``wake`` every night, ``leave`` none.
        rebuilt: an input was corrected. A night that was never announced, such as history, stays unannounced.
    """
    if not nights:
        return []
    kind, _, name = asset.partition(".")
    within = {"asset": asset, "name": name, "first": min(nights), "last": max(nights)}
    contents = {row["batch_date"]: row["content_sha256"] for row in _contents(platform, kind, within)}
    known = {
        row["batch_date"]: row
        for row in platform.warehouse.rows(
            "SELECT * FROM catalog.announcements WHERE asset = %(asset)s AND batch_date BETWEEN %(first)s AND %(last)s",
            within,
        )
    }
    news = [n for n in nights if _is_news(known.get(n), contents.get(n), asked, rebuilt)]
    chosen = {"changed": news, "wake": nights, "leave": []}[choice]
    # Not those that are no news: what was said of them still holds.
    decided = nights if choice == "leave" else chosen
    with platform.warehouse.transaction() as cursor:
        cursor.executemany(
            DECIDED, [(asset, n, choice != "leave", contents.get(n), asked.run_id) for n in decided]
        )
    return chosen


def corrected(platform: Platform, source: str, asked: Try) -> list[date]:
    """Return the nights of ``source`` whose accepted rows this run has changed."""
    found = platform.warehouse.rows(
        "SELECT batch_date FROM catalog.batches WHERE source = %s AND content_run_id = %s ORDER BY batch_date",
        (source, asked.run_id),
    )
    return [row["batch_date"] for row in found]


def stale(platform: Platform, feature_set: FeatureSet, source: str, changed: list[date]) -> list[date]:
    """Return the nights of ``feature_set`` that were built from batches of ``source`` which have changed since."""
    if not changed:
        return []
    look_back = feature_set.inputs[source].look_back_days
    built = platform.warehouse.rows(
        "SELECT batch_date FROM catalog.feature_batches WHERE feature_set = %s AND feature_version = %s "
        "AND batch_date BETWEEN %s AND %s ORDER BY batch_date",
        (feature_set.set, feature_set.version, changed[0], changed[-1] + timedelta(days=look_back)),
    )
    return [
        row["batch_date"]
        for row in built
        if any(night <= row["batch_date"] <= night + timedelta(days=look_back) for night in changed)
    ]


def _contents(platform: Platform, kind: str, within: Mapping[str, Any]) -> list[dict[str, Any]]:
    return platform.warehouse.rows(CONTENTS[kind], within) if kind in CONTENTS else []


def _is_news(known: Mapping[str, Any] | None, content: str | None, asked: Try, rebuilt: bool) -> bool:
    if known is None or not known["announced"]:
        return not rebuilt
    same = content is not None and known["content_sha256"] == content
    return not same or known["run_id"] == asked.run_id
