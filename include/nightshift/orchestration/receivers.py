"""Receivers of alerts, by Airflow's connections; notifiers by their dotted path, where the project allows it."""

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

from nightshift.alerts import shapes
from nightshift.alerts.delivery import Door, deliver, key_of, ping
from nightshift.alerts.sending import Deliver, NotDelivered
from nightshift.errors import SpecError
from nightshift.orchestration.connections import find
from nightshift.records.alerts import Outgoing
from nightshift.specs.alerts import Alerts, Notifier

log = logging.getLogger(__name__)


def deliverer(declared: Alerts) -> Deliver:
    """Return what delivers a message to the receiver that it names."""

    def to_receiver(outgoing: Outgoing) -> None:
        receiver = declared.receivers.get(outgoing.receiver)
        if receiver is None:
            raise NotDelivered(
                f"receiver '{outgoing.receiver}' is not in alerts.receivers any more; put it back"
            )
        if isinstance(receiver, Notifier):
            notify(receiver, declared, outgoing)
        else:
            deliver(receiver, door(receiver.connection), outgoing)

    return to_receiver


def door(conn_id: str) -> Door:
    """Return a connection. Raises SpecError if Airflow has none of that id."""
    found = find(conn_id)
    return Door(
        id=conn_id,
        host=found.host or "",
        port=found.port,
        login=found.login,
        password=found.password,
        schema=found.schema,
        extra=found.extra_dejson,
    )


def notify(receiver: Notifier, declared: Alerts, outgoing: Outgoing) -> None:
    """Have a notifier tell it. Its arguments may be templates: ``{{ headline }}``, ``{{ text }}``, ``{{ message }}``.

    Raises:
        NotDelivered: it is not allowed any more, or cannot be imported; or whatever it raises.
    """
    if receiver.path not in declared.notifiers:
        raise NotDelivered(f"notifier '{receiver.path}' is not in alerts.notifiers")
    module, _, name = receiver.path.rpartition(".")
    try:
        kind: Callable[..., Any] = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise NotDelivered(
            f"notifier '{receiver.path}' cannot be imported: {type(error).__name__}"
        ) from error
    message = outgoing.body
    kind(**receiver.arguments)(
        {
            "headline": shapes.headline(message),
            "text": shapes.plain(message),
            "message": shapes.webhook(message, key_of(outgoing)),
        }
    )


def ping_outside(declared: Alerts) -> bool:
    """Call the dead man's switch, if one is declared; return whether it answered. No answer is none of our alerts."""
    if declared.ping is None:
        return False
    try:
        ping(door(declared.ping))
    except (NotDelivered, SpecError) as error:
        log.warning("dead man's switch: %s", error)
        return False
    return True
