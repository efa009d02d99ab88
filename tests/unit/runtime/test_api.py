"""The client of Airflow's REST API, against an Airflow that clips its lists."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from nightshift.runtime.api import Client

# Of Airflow 3.3, where the setting api.maximum_page_limit is left alone.
MOST = 100
LISTS: dict[str, tuple[str, Callable[[Client], list[Any]]]] = {
    "/api/v2/dags": ("dags", lambda client: client.dags()),
    "/api/v2/importErrors": ("import_errors", lambda client: client.import_errors()),
    "/api/v2/dags/a/dagRuns/b/taskInstances": (
        "task_instances",
        lambda client: client.task_instances("a", "b"),
    ),
}


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("number", [0, 1, 100, 101, 250])
def test_a_list_longer_than_a_page_is_read_to_its_end(path: str, number: int) -> None:
    key, listed = LISTS[path]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "t"})
        assert request.url.path == path
        asked = request.url.params
        first = int(asked.get("offset", 0))
        page = range(number)[first : first + min(int(asked.get("limit", 50)), MOST)]
        return httpx.Response(
            200, json={key: [{"dag_id": f"dag_{n}"} for n in page], "total_entries": number}
        )

    with Client("http://airflow", "secret") as client:
        client._http = httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(answer))
        assert len({str(one) for one in listed(client)}) == number
