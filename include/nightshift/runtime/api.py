"""A small client of Airflow's REST API, for the demo and the tests."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from nightshift.errors import NotReady, RequestError
from nightshift.freeform import Conf, Json
from nightshift.runtime.state import Runtime

FINISHED = frozenset({"success", "failed"})
PAGE = 100


class Client:
    """Airflow's REST API, entered as one user. The token is fetched at the first call and when it expires."""

    def __init__(self, url: str, password: str, user: str = "admin", *, timeout: float = 30) -> None:
        self.user = user
        self._password = password
        self._http = httpx.Client(base_url=url, timeout=timeout, trust_env=False)

    @classmethod
    def of(cls, runtime: Runtime, user: str = "admin") -> "Client":
        """Return a client of the local runtime."""
        return cls(runtime.airflow_url, runtime.passwords[user], user)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def health(self) -> Json:
        """Return the heartbeat of each component (no login needed)."""
        answer: Json = self._http.get("/api/v2/monitor/health").raise_for_status().json()
        return answer

    def request(
        self, method: str, path: str, *, json: Json | None = None, params: Json | None = None
    ) -> httpx.Response:
        """Call ``path`` below ``/api/v2`` with a token.

        Raises:
            RequestError: Airflow answered 4xx or 5xx; the message holds its reason.
        """
        answer = self._send(method, path, json, params)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._http.headers.pop("Authorization", None)
            answer = self._send(method, path, json, params)
        if answer.is_error:
            raise RequestError(f"{method} {path}: {answer.status_code} {_reason(answer)[:500]}")
        return answer

    def get(self, path: str, **params: object) -> Json:
        """Return the JSON at ``path`` below ``/api/v2``."""
        answer: Json = self.request("GET", path, params=params).json()
        return answer

    def every(self, path: str, key: str) -> list[Json]:
        """Return all that ``path`` lists under ``key``: one answer holds at most ``api.maximum_page_limit`` of it."""
        found: list[Json] = []
        while True:
            page = self.get(path, limit=PAGE, offset=len(found))
            found += page[key]
            if not page[key] or len(found) >= page["total_entries"]:
                return found

    def trigger(
        self,
        dag_id: str,
        *,
        partition_key: str | None = None,
        conf: Conf | None = None,
        run_id: str | None = None,
    ) -> str:
        """Start a run and return its id."""
        # logical_date is required and may be null: undated runs take their date from run_after.
        body: Json = {"logical_date": None, "conf": conf or {}}
        body |= {"partition_key": partition_key} if partition_key else {}
        body |= {"dag_run_id": run_id} if run_id else {}
        return str(self.request("POST", f"/dags/{dag_id}/dagRuns", json=body).json()["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> Json:
        """Return one run."""
        return self.get(f"/dags/{dag_id}/dagRuns/{run_id}")

    def wait(self, dag_id: str, run_id: str, timeout: float = 300) -> Json:
        """Return the run once it has ended.

        Raises:
            NotReady: it has not ended within ``timeout`` seconds.
        """
        return self._until(lambda: self.run(dag_id, run_id), f"run {run_id} of {dag_id}", timeout)

    def runs(self, dag_id: str = "~", **params: object) -> list[Json]:
        """Return runs, newest first (``dag_id="~"``: of all DAGs)."""
        query: Json = {"order_by": "-run_after", "limit": 100, **params}
        runs: list[Json] = self.get(f"/dags/{dag_id}/dagRuns", **query)["dag_runs"]
        return runs

    def wait_for_run(self, dag_id: str, partition_key: str, timeout: float = 300) -> Json:
        """Return the newest run of ``dag_id`` for a partition, once there is one and it has ended."""

        def newest() -> Json | None:
            runs = [r for r in self.runs(dag_id) if r.get("partition_key") == partition_key]
            return runs[0] if runs else None

        return self._until(newest, f"a run of {dag_id} for {partition_key}", timeout)

    def dags(self) -> list[str]:
        """Return the ids of all DAGs that were parsed."""
        return [dag["dag_id"] for dag in self.every("/dags", "dags")]

    def wait_for_dags(self, dag_ids: set[str], timeout: float = 120) -> None:
        """Return once all these DAGs are parsed. Raises NotReady naming those that are still missing by then."""
        deadline = time.monotonic() + timeout
        while missing := dag_ids - set(self.dags()):
            if time.monotonic() > deadline:
                raise NotReady(f"not parsed after {timeout:.0f} s: {', '.join(sorted(missing))}")
            time.sleep(0.5)

    def unpause(self, dag_id: str, *, paused: bool = False) -> None:
        """Switch a DAG on (or off, with ``paused=True``)."""
        self.request("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def import_errors(self) -> list[Json]:
        """Return the DAG files that could not be imported, each with its trace."""
        return self.every("/importErrors", "import_errors")

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """Return the task instances of a run."""
        return self.every(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances")

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> Any:
        """Return what a task returned."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.get(path, map_index=map_index, deserialize=False)["value"]

    def log(
        self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1, map_index: int = -1
    ) -> list[str]:
        """Return the lines of a task's log."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        content = self.get(path, map_index=map_index, full_content=True)["content"]
        return [_line(entry) for entry in content]

    def failure(self, dag_id: str, run_id: str, lines: int = 30) -> str:
        """Return which tasks of a run failed, and the end of the first one's log."""
        failed = [i for i in self.task_instances(dag_id, run_id) if i["state"] == "failed"]
        if not failed:
            return ""
        first = failed[0]
        text = self.log(
            dag_id,
            run_id,
            first["task_id"],
            try_number=first["try_number"],
            map_index=first.get("map_index", -1),
        )
        return "\n".join([f"failed: {', '.join(i['task_id'] for i in failed)}", *text[-lines:]])

    def _until(self, look: Callable[[], Json | None], what: str, timeout: float) -> Json:
        deadline = time.monotonic() + timeout
        while True:
            run = look()
            if run and run["state"] in FINISHED:
                return run
            if time.monotonic() > deadline:
                state = run["state"] if run else "absent"
                raise NotReady(f"{what}: still {state} after {timeout:.0f} s")
            time.sleep(0.5)

    def _send(self, method: str, path: str, json: Json | None, params: Json | None) -> httpx.Response:
        if "Authorization" not in self._http.headers:
            login = {"username": self.user, "password": self._password}
            answer = self._http.post("/auth/token", json=login).raise_for_status()
            self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return self._http.request(method, f"/api/v2{path}", json=json, params=params)


def _reason(answer: httpx.Response) -> str:
    """Return why Airflow refused, without the JSON schema that it prints after a wrong parameter."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return answer.text
    if isinstance(detail, list):  # one entry a key of the request's body
        return "; ".join(f"{'.'.join(map(str, one.get('loc', ())))}: {one.get('msg')}" for one in detail)
    return str(detail).partition("\n\nFailed validating")[0]


def _line(entry: object) -> str:
    """Return one log entry as text: the API gives dicts whose error detail is nested."""
    if not isinstance(entry, dict):
        return str(entry)
    # The reason: of a decision to try again or not.
    parts = [str(entry.get("event", "")), str(entry.get("reason") or "")]
    for error in entry.get("error_detail") or []:
        parts.append(f"{error.get('exc_type')}: {error.get('exc_value')}")
    return " | ".join(p for p in parts if p)
