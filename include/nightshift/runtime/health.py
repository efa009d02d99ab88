"""Who is well. A component is judged by what it does (heartbeat, answer, work), never by its pid alone.

Three answers: well, unwell, and None for "cannot be known now": without the API server nobody can read the
heartbeats of the others, and that is no fault of theirs.
"""

import json
import time
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from http.client import HTTPException

from nightshift.freeform import Json
from nightshift.processes import alive
from nightshift.runtime import components, databases, work
from nightshift.runtime.state import Record, Runtime

BEATS = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}
# Loopback needs no proxy, and a proxy of the environment must not see it.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def examine(runtime: Runtime, records: Mapping[str, Record]) -> dict[str, bool | None]:
    """Return the state of every service that answers questions."""
    airflow = fetch(f"{runtime.airflow_url}/api/v2/monitor/health")
    database_since = records["postgres"].since if "postgres" in records else 0.0
    found: dict[str, bool | None] = {
        "postgres": databases.answers(runtime.admin_database_url),
        "mlflow": fetch(f"{runtime.mlflow_url}/health") is not None,
        "api-server": airflow is not None,
    }
    found |= {c.name: c.answers(runtime) for c in components.table().values() if c.answers}
    for name, key in BEATS.items():
        found[name] = beats((airflow or {}).get(key), records.get(name), database_since, time.time())
    # Only of a scheduler whose heart beats: without one, it is no wonder that nothing begins.
    found["scheduler"] = found["scheduler"] and standstill(runtime, records) is None
    running = {name: alive(r.pid, r.started) for name, r in records.items()}
    return {name: well and running.get(name, True) for name, well in found.items()}


def standstill(runtime: Runtime, records: Mapping[str, Record]) -> str | None:
    """Return in words that tasks wait and none begins, or None."""
    scheduler = records.get("scheduler")
    if scheduler is None:
        return None
    return work.standstill(runtime.airflow_database_url, _before(scheduler.since, time.time()))


def execution_api_answers(runtime: Runtime) -> bool:
    """Whether the API that tasks talk to is there. The first call builds it, so it is asked again."""
    return fetch(f"{runtime.airflow_url}/execution/health", timeout=3) is not None


def fetch(url: str, timeout: float = 5) -> Json | None:
    """Return the JSON object at ``url`` (an empty one if the answer is other text), None on any failure."""
    try:
        with _OPENER.open(url, timeout=timeout) as answer:
            content = json.loads(answer.read())
    except ValueError:
        return {}
    except (OSError, HTTPException):  # also what answers, but not as HTTP does, or breaks off
        return None
    return content if isinstance(content, dict) else {}


def beats(status: Json | None, record: Record | None, database_since: float, now: float) -> bool | None:
    """Whether the heartbeat is fresh, is this process's own, and was written to the server that runs now.

    A component that is ending because it lost the database still has the heartbeat of a moment before.
    """
    if status is None or record is None:
        return None
    latest = next((value for key, value in status.items() if key.startswith("latest_")), None)
    if status.get("status") != "healthy" or latest is None:
        return False
    since = max(_before(record.since, now), _before(database_since, now))
    return datetime.fromisoformat(latest).timestamp() >= since


def _before(since: float, now: float) -> float:
    """Return an instant, or the beginning of time if it is later than now: the clock was set back, and it says nothing.

    Components would otherwise be started anew over and over, until the clock is there again.
    """
    return since if since <= now else 0.0
