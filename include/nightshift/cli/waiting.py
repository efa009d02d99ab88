"""Which nights a feature set waits for: some of its sources have announced them, and others have not."""

from collections.abc import Iterator, Mapping
from datetime import date

from nightshift.database import Database
from nightshift.records import deliveries, features
from nightshift.specs import FeatureSet, Project, derived

NEWEST_NIGHTS = 7


def waiting(database: Database, project: Project, night: date | None = None) -> list[str]:
    """Return a sentence a feature set and night that waits, and for what: of ``night``, else of the newest ones."""
    return [line for each in project.feature_sets.values() for line in _of_set(database, each, night)]


def _of_set(database: Database, feature_set: FeatureSet, night: date | None) -> Iterator[str]:
    assets = {f"raw.{name}": name for name in feature_set.inputs}
    nights: dict[date, dict[str, bool]] = {}
    told = database.all(deliveries.LATELY, assets=list(assets), night=night, days=NEWEST_NIGHTS - 1)
    for each in told:
        nights.setdefault(each.batch_date, {})[assets[each.asset]] = each.announced
    if not nights:
        return
    of = {"feature_set": feature_set.set, "version": feature_set.version}
    built = {n.batch_date for n in database.all(features.NIGHTS, first=min(nights), last=max(nights), **of)}
    for day, said in sorted(nights.items()):
        missing = [name for name in feature_set.inputs if not said.get(name)]
        if any(said.values()) and missing and day not in built:
            dag = derived.dag_id("features", feature_set)
            yield f"{dag} waits, for {day}, for " + ", and for ".join(_why(name, said) for name in missing)


def _why(source: str, said: Mapping[str, bool]) -> str:
    if source in said:
        return (
            f"source '{source}', which was collected with --leave: trigger collect_{source} again without it"
        )
    return f"source '{source}', of which collect_{source} has not announced it"
