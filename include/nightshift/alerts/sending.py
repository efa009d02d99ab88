"""The sender: claims a message, delivers it, and commits its mark once the receiver has answered.

At least once: who dies between the answer and the mark sends it again, with the same key; who only lost his connection
marks it on another, as soon as the database answers again. The row is locked while it is delivered, so two senders
never hold the same one, and one that dies gives it back when its connection goes.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from nightshift.database import Database
from nightshift.errors import NightshiftError, Unreachable
from nightshift.records import alerts as records
from nightshift.records.alerts import Outgoing

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
MOST_SAID = 300
# Between tries to mark what was taken: a database that restarts is back within half a minute.
MARK_WAITS = (1, 2, 4, 8, 15)
Sleep = Callable[[float], None]


class NotDelivered(NightshiftError):
    """A receiver did not take a message: which, and what it answered, without what was sent to it."""


class Refused(NotDelivered):
    """It answered, and does not take this message: it may take another."""


# Delivers one message. Raises NotDelivered, or any other error, if the receiver did not take it.
Deliver = Callable[[Outgoing], None]


def send(database: Database, deliver: Deliver, clock: Callable[[], datetime]) -> tuple[int, int]:
    """Send what is due, one at a time; return how many were delivered, and how many were not taken.

    What was not taken stays, and is tried again after a while that grows up to an hour; it is never given up. A
    receiver that does not answer is left alone from then on: it holds up the others by one timeout.
    """
    delivered = failed = 0
    away: set[str] = set()
    while (done := send_one(database, deliver, clock(), away=away)) is not None:
        delivered, failed = delivered + done, failed + (not done)
    return delivered, failed


def send_one(
    database: Database,
    deliver: Deliver,
    now: datetime,
    sleep: Sleep = time.sleep,
    *,
    away: set[str] | None = None,
) -> bool | None:
    """Send the message that has been due for longest; return whether it was delivered, None if none is due.

    ``away``: receivers to leave alone, to which one that does not answer is added.
    """
    taken = None
    away = set() if away is None else away
    try:
        with database.session() as session:
            session.run(records.HURRY)
            message = session.one(records.CLAIM, now=now, away=sorted(away))
            if message is None:
                return None
            # Marked before, and committed after the answer: between the two is nothing but the commit.
            session.run(records.DELIVERED, message=message.message, now=now)
            error = _error(deliver, message)
            if error is None:
                taken = message.message
            else:
                if not isinstance(error, Refused):
                    away.add(message.receiver)
                # The words of a notifier's error may hold a secret.
                why = str(error) if isinstance(error, NightshiftError) else type(error).__name__
                wait = min(FIRST_WAIT * 2 ** min(message.tries, 10), LONGEST_WAIT)
                session.run(
                    records.FAILED, message=message.message, not_before=now + wait, error=why[:MOST_SAID]
                )
    except NightshiftError:  # a transaction that was ended for idling is not Unreachable
        if taken is None:
            raise
        # The connection went while the message was on its way, and the mark with it: it would come twice.
        _mark(database, taken, now, sleep)
    return taken is not None


def _mark(database: Database, message: int, now: datetime, sleep: Sleep) -> None:
    for wait in MARK_WAITS:
        with suppress(Unreachable):
            database.run(records.DELIVERED, message=message, now=now)
            return
        sleep(wait)
    database.run(records.DELIVERED, message=message, now=now)


def _error(deliver: Deliver, message: Outgoing) -> Exception | None:
    try:
        deliver(message)
    except Exception as error:  # noqa: BLE001 - a notifier may fail in any way
        return error
    return None
