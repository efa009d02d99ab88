"""Who is told of what is wrong, and where: receivers, routes, the agreed hour. Secrets stay in connections."""

from datetime import time
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from nightshift.errors import did_you_mean
from nightshift.specs.model import DottedPath
from nightshift.specs.own import refused
from nightshift.specs.parts import Hour, Name, Spec, Tag

Severity = Literal["warning", "error", "critical"]
# Mildest first: a route that names one takes it and all that is worse.
SEVERITIES: tuple[Severity, ...] = ("warning", "error", "critical")
# What is judged night by night, so that nights can be counted.
Nightly = Literal["source_refused", "source_over_budget", "source_stale", "fault", "harm", "shift"]
MailAddress = Annotated[
    str, StringConstraints(pattern=r"^[^\s@,;<>\x00-\x1f]+@[^\s@,;<>\x00-\x1f]+\z", max_length=254)
]
ConnectionId = Annotated[str, Field(min_length=1, max_length=250)]


class Smtp(Spec):
    """Mail, by a connection of type ``smtp`` (its extra as Airflow's form has it)."""

    kind: Literal["smtp"] = "smtp"
    connection: ConnectionId
    to: list[MailAddress] = Field(min_length=1)


class Slack(Spec):
    """An incoming webhook of Slack."""

    kind: Literal["slack"] = "slack"
    connection: ConnectionId


class Teams(Spec):
    """A workflow of Microsoft Teams that takes adaptive cards."""

    kind: Literal["teams"] = "teams"
    connection: ConnectionId


class PagerDuty(Spec):
    """Events API v2; the connection's password is the routing key."""

    kind: Literal["pagerduty"] = "pagerduty"
    connection: ConnectionId


class Alertmanager(Spec):
    """Prometheus' Alertmanager, ``/api/v2/alerts``."""

    kind: Literal["alertmanager"] = "alertmanager"
    connection: ConnectionId


class Webhook(Spec):
    """Whatever takes a POST of JSON."""

    kind: Literal["webhook"] = "webhook"
    connection: ConnectionId


class Notifier(Spec):
    """A notifier of Airflow or of a package of yours: its code is run, so ``alerts.notifiers`` must allow it."""

    kind: Literal["notifier"] = "notifier"
    path: DottedPath = Field(alias="class")
    arguments: dict[str, str | int | float | bool | list[str]] = {}


Receiver = Annotated[
    Smtp | Slack | Teams | PagerDuty | Alertmanager | Webhook | Notifier, Field(discriminator="kind")
]


class Route(Spec):
    """Which alerts go to which receivers: all that is given must fit. An alert goes to all routes that fit."""

    to: list[Name] = Field(min_length=1)
    severity: Severity = "warning"
    model: Name | None = None
    source: Name | None = None
    owner: Tag | None = None


class Persistence(Spec):
    """``open`` of the newest ``of`` nights open an alert; ``close`` quiet ones end it."""

    open: int = Field(default=1, ge=1, le=31)
    of: int = Field(default=1, ge=1, le=31)
    close: int = Field(default=1, ge=1, le=31)

    @model_validator(mode="after")
    def _enough_nights(self) -> "Persistence":
        if self.open > self.of:
            raise ValueError(f"open: {self.open} of {self.of} nights; expected at most as many as 'of'")
        return self


class Alerts(Spec):
    """``alerts`` in ``project.yaml``."""

    # By when a night is over, in the project's time zone. What is missing then is told.
    night_by: Hour = "06:00"
    receivers: dict[Name, Receiver] = {}
    routes: list[Route] = []
    # Notifiers that receivers may name: their code is run.
    notifiers: list[DottedPath] = []
    # The connection whose address is called after each round: who waits for it outside knows that we live.
    ping: ConnectionId | None = None
    nights: dict[Nightly, Persistence] = {}
    # How long the effects of what is mended stay muted: what waited has to catch up.
    settle_minutes: int = Field(default=120, ge=0, le=24 * 60)
    # A feature set whose sources are all there is built by then.
    build_within_minutes: int = Field(default=60, ge=1, le=24 * 60)
    # More rows set aside in seven nights than this, and nobody has looked at them.
    quarantine_rows: int = Field(default=1000, ge=0)
    # So many trainings in a row that were not promoted.
    rejected_trainings: int = Field(default=2, ge=1, le=100)
    # Where people read runbooks: the address that #anchors are appended to.
    runbooks: str = Field(default="docs/runbooks.md", min_length=1, max_length=500)

    @field_validator("notifiers")
    @classmethod
    def _safe_notifiers(cls, value: list[str]) -> list[str]:
        for why in filter(None, map(refused, value)):
            raise ValueError(why)
        return value

    @model_validator(mode="after")
    def _notifiers_are_allowed(self) -> "Alerts":
        for name, receiver in self.receivers.items():
            if isinstance(receiver, Notifier) and receiver.path not in self.notifiers:
                raise ValueError(
                    f"receivers.{name}.class: '{receiver.path}' is not in alerts.notifiers, and its code would be run"
                    f"{did_you_mean(receiver.path, self.notifiers)}"
                )
        return self

    @model_validator(mode="after")
    def _receivers_are_there(self) -> "Alerts":
        for number, route in enumerate(self.routes):
            for name in route.to:
                if name not in self.receivers:
                    raise ValueError(
                        f"routes.{number}.to: receiver '{name}' is unknown{did_you_mean(name, self.receivers)}"
                    )
        return self

    @property
    def by(self) -> time:
        """The agreed hour."""
        return time.fromisoformat(self.night_by)
