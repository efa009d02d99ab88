"""Alerts without Airflow: looked for and sent by whoever is outside, when the DAG `alerts` does not.

Also a scheduler that is dead, a DAG that is paused and a file that does not import are told of, and the night that
never started because of them.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from nightshift.alerts import Seen
from nightshift.alerts.evaluating import evaluate
from nightshift.alerts.sending import send
from nightshift.database import Database
from nightshift.orchestration.connections import warehouse_url
from nightshift.orchestration.links import alert_url
from nightshift.orchestration.receivers import deliverer
from nightshift.records import alerts as records
from nightshift.specs import load_project

log = logging.getLogger(__name__)


def watch(components: Mapping[str, bool], now: datetime | None = None) -> bool:
    """Look once and send, unless Airflow does and all is well; return whether this looked.

    ``components``: all of the stack, and whether each is well; none where there is none. The outside is not called:
    that it stops hearing of Airflow is how it knows.

    Raises:
        SpecError: a connection is missing. Unreachable: the warehouse is away.
    """
    now = now or datetime.now(UTC)
    project, database = load_project(), Database(warehouse_url("alerts"))
    pulse = database.one(records.PULSE)
    airflow = pulse is not None and not pulse.is_late(now)
    was_down = any(row.kind == "component_down" for row in database.all(records.OPEN))
    if airflow and all(components.values()) and not was_down:
        return False
    seen = Seen(components={**components, "airflow": airflow}, whole_stack=bool(components))
    found = evaluate(database, project, seen, now, by=None, link=alert_url)
    delivered, failed = send(database, deliverer(project.settings.alerts), lambda: datetime.now(UTC))
    log.info("%s open, %s told, %s sent, %s not taken", len(found.kept), len(found.told), delivered, failed)
    return True
