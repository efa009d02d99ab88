"""Whether work goes on. A heartbeat says that the scheduler lives; this says that what it hands out is begun.

An idle worker of the LocalExecutor waits for its next task with the queue's lock in its hands. If it is killed
there, nobody else ever gets the lock: tasks stay queued, all hearts beat, and nothing is done.
"""

import psycopg2

PARALLELISM = 6
# A task begins within a second or two of being queued. A machine at ten times its load took 30.
LONGEST_WAIT = 45

# Whoever hands tasks out began at ``since``: what was queued for the one before it is queued anew.
WAITING = """
SELECT count(*), min(greatest(queued_dttm, to_timestamp(%(since)s))), clock_timestamp()
FROM task_instance WHERE state = 'queued'
"""
RUNNING = "SELECT count(*) FROM task_instance WHERE state = 'running'"
BEGUN = (
    "SELECT EXISTS (SELECT FROM task_instance WHERE start_date > %(now)s - make_interval(secs => %(wait)s))"
)


def standstill(database_url: str, since: float) -> str | None:
    """Return in words that tasks are queued, slots are free and nothing begins; None if work goes on, or none is.

    ``since``: when the scheduler was started. A database that does not answer is no standstill: others see to it.
    """
    try:
        session = psycopg2.connect(database_url, connect_timeout=2, options="-c statement_timeout=5000")
    except psycopg2.Error:
        return None
    try:
        with session, session.cursor() as cursor:
            return _standstill(cursor, since)
    except psycopg2.Error:
        return None
    finally:
        session.close()


def _standstill(cursor: psycopg2.extensions.cursor, since: float) -> str | None:
    cursor.execute(WAITING, {"since": since})
    tasks, oldest, now = cursor.fetchone() or (0, None, None)
    if not tasks or oldest is None or (now - oldest).total_seconds() < LONGEST_WAIT:
        return None
    cursor.execute(RUNNING)
    (running,) = cursor.fetchone() or (0,)
    # The whole table is looked through, but only when something waits too long.
    cursor.execute(BEGUN, {"now": now, "wait": LONGEST_WAIT})
    if running >= PARALLELISM or (cursor.fetchone() or (True,))[0]:
        return None
    seconds = int((now - oldest).total_seconds())
    return f"{tasks} tasks are queued, the oldest for {seconds} s, {PARALLELISM - running} slots are free, none begins"
