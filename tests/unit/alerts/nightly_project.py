"""A project of 25 models on one feature set, night after night, looked at every five minutes as the DAG does."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from nightshift.alerts import Before, Facts, Policy, Seen, compare, sights, unknown, upstream
from nightshift.alerts.evaluating import receivers_of
from nightshift.alerts.facts import deadline
from nightshift.records import alerts as rows
from nightshift.records.alerts import OpenAlert, Resolved, Silence
from nightshift.specs import Project, load_project
from nightshift.specs.alerts import Alerts

FIRST = date(2026, 3, 1)
SET = "departure_v1"


declared = cache(load_project)


def project(models: int = 3, **alerts: object) -> Project:
    """Return this repository's project, live, with so many models like `late_arrival`."""
    found = declared()
    model = found.model("late_arrival")
    many = {f"model_{n:02}": model.model_copy(update={"name": f"model_{n:02}"}) for n in range(models)}
    live = found.settings.model_copy(
        update={"first_night": FIRST, "last_night": None, "alerts": Alerts.model_validate(alerts)}
    )
    own = found.feature_set("departure")
    sources = {name: found.source(name) for name in own.inputs}
    return found.model_copy(
        update={"settings": live, "models": many, "feature_sets": {own.name: own}, "sources": sources}
    )


ZONE = ZoneInfo("America/New_York")
LOOKED_BACK = 3


@cache
def at(night: date, hour: float) -> datetime:
    """Return an instant of a night's day, where the project is."""
    return (datetime.combine(night, time(), tzinfo=ZONE) + timedelta(hours=hour)).astimezone(UTC)


@dataclass
class World:
    """What happened by when. ``broken``: whether a step of a night did not happen; of a source, how it ended."""

    project: Project
    # (what, name, night) -> when it is there; None: never. `what`: source, set, model.
    arrives: Callable[[str, str, date], datetime | None] = lambda what, name, night: at(
        night, {"source": 0.6, "set": 0.8, "model": 1.0}[what]
    )
    failed: Callable[[str, date, datetime], bool] = lambda name, night, now: False
    faulty: Callable[[date], bool] = lambda night: False
    open: list[OpenAlert] = field(default_factory=list)
    resolved: list[Resolved] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    told: list[tuple[datetime, str, str]] = field(default_factory=list)

    def facts(self, now: datetime, **more: object) -> Facts:
        """Return what the warehouse holds at an instant."""
        last = self.project.calendar.date_of(now)
        nights = [last - timedelta(days=n) for n in range(LOOKED_BACK) if last - timedelta(days=n) >= FIRST]
        there = {
            (what, name, night)
            for what, names in (
                ("source", self.project.sources),
                ("set", [SET]),
                ("model", self.project.models),
            )
            for name in names
            for night in nights
            if (when := self.arrives(what, name, night)) is not None and when <= now
        }
        good = {key for key in there if key[0] != "source" or not self.failed(key[1], key[2], now)}
        facts = Facts(
            now,
            batches=tuple(
                self._batch(s, n, ("source", s, n) in good) for w, s, n in _sorted(there, "source")
            ),
            announced=tuple(
                rows.Announced(asset=f"raw.{s}", batch_date=n, decided_at=at(n, 0.6))
                for w, s, n in _sorted(good, "source")
            ),
            built=tuple(
                rows.Built(
                    features=s,
                    batch_date=n,
                    built_at=at(n, 0.8),
                    faulty=["dep_delay"] if self.faulty(n) else [],
                    found_at=at(n, 0.8) if self.faulty(n) else None,
                )
                for w, s, n in _sorted(there, "set")
            ),
            judged=tuple(judged(s, n) for w, s, n in _sorted(there, "model")),
            champions=tuple(
                rows.Champion(model=name, version=1, effective_from=FIRST, promoted_at=at(FIRST, 0))
                for name in self.project.models
            ),
        )
        return replace(facts, **more)

    def _batch(self, source: str, night: date, good: bool) -> rows.Batch:
        return rows.Batch(
            source=source,
            batch_date=night,
            status="published" if good else "failed",
            collected=1000,
            rejected=0,
            stale=False,
            recorded_at=at(night, 0.6),
        )

    def look(self, now: datetime, **more: object) -> list[tuple[str, str]]:
        """Evaluate once; return what is told, as (what, fingerprint)."""
        settings = self.project.settings.alerts
        policy = Policy(
            settings.by,
            self.project.calendar.zone,
            settings.nights,
            upstream(self.project),
            timedelta(minutes=settings.settle_minutes),
            lambda kind, subject, owner: frozenset(receivers_of(settings, kind, subject, owner)),
        )
        facts = self.facts(now, **more)
        before = Before(self.open, self.resolved, self.silences, unknown(self.open, facts.seen, self.project))
        found = compare(sights(facts, self.project), before, policy, now)
        owners = {row.fingerprint: row.owner for row in self.open}
        self.open = [
            *found.kept,
            *(
                r
                for r in self.open
                if r.fingerprint not in {*found.closed, *(k.fingerprint for k in found.kept)}
            ),
        ]
        self.resolved += [Resolved(fingerprint=name, at=now, owner=owners[name]) for name in found.closed]
        told = [(what, row.fingerprint) for what, row in found.told]
        self.told += [(now, *each) for each in told]
        return told

    def live(self, first: date, nights: int, hour: float = 0.0, every: int = 10) -> list[tuple[str, str]]:
        """Look every few minutes for so many days; return all that was told."""
        start, before = at(first, hour), len(self.told)
        for minutes in range(0, nights * 24 * 60, every):
            self.look(start + timedelta(minutes=minutes))
        return [each[1:] for each in self.told[before:]]


def judged(model: str, night: date, **said: float) -> rows.Judged:
    """Return a judged night of a model."""
    nothing = dict.fromkeys(("harm", "harm_limit", "shift", "shift_limit"))
    return rows.Judged(
        model=model, batch_date=night, scored_at=at(night, 1), decided_at=at(night, 1), **(nothing | said)
    )


def _sorted(found: Iterable[tuple[str, str, date]], what: str) -> list[tuple[str, str, date]]:
    mine = [key for key in found if key[0] == what]
    return sorted(mine, key=lambda key: (key[1], -key[2].toordinal()))


__all__ = ["FIRST", "SET", "Seen", "World", "at", "deadline", "judged", "project"]
