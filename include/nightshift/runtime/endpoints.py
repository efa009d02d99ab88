"""Where each service listens. Loopback only; a port once chosen is kept, so that URLs stay as they were."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from nightshift.errors import NotReady
from nightshift.runtime.credentials import Credentials
from nightshift.runtime.state import Runtime

HOST = "127.0.0.1"
PREFERRED = {"airflow": 8080, "mlflow": 5000, "aircraft": 8090, "postgres": 54320}
DATABASES = ("airflow", "mlflow", "warehouse", "ops")


def is_free(port: int) -> bool:
    """Whether nobody listens on ``port`` of the loopback address."""
    with socket.socket() as probe:
        # Connections of a server that just stopped linger; they do not occupy the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose_ports(remembered: Mapping[str, int], ours: frozenset[int] = frozenset()) -> dict[str, int]:
    """Return a port for each service: the remembered one, else the preferred one, else any free one.

    ``ours`` are ports on which our own processes still listen. ``NIGHTSHIFT_<SERVICE>_PORT`` wins.

    Raises:
        NotReady: a port that was asked for is taken.
    """
    chosen: dict[str, int] = {}
    for service, preferred in PREFERRED.items():
        asked = os.environ.get(f"NIGHTSHIFT_{service.upper()}_PORT")
        candidates = [remembered[service]] if service in remembered else []
        candidates += [preferred]
        usable = [p for p in candidates if p in ours or (is_free(p) and p not in chosen.values())]
        chosen[service] = _asked(service, asked, ours) if asked else (usable or [any_free_port()])[0]
    return chosen


def _asked(service: str, asked: str, ours: frozenset[int]) -> int:
    if not asked.isdecimal() or not 0 < int(asked) < 1 << 16:
        raise NotReady(f"NIGHTSHIFT_{service.upper()}_PORT: {asked!r} is not a port")
    if int(asked) not in ours and not is_free(int(asked)):
        raise NotReady(f"NIGHTSHIFT_{service.upper()}_PORT: somebody else listens on port {asked}")
    return int(asked)


def any_free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def arrange(home: Path, credentials: Credentials, ports: Mapping[str, int]) -> Runtime:
    """Return the runtime of ``home``. A server given by ``NIGHTSHIFT_DATABASE_URL`` wins over our own."""
    given = os.environ.get("NIGHTSHIFT_DATABASE_URL")
    admin = (
        make_url(given).set(drivername="postgresql")
        if given
        else URL.create("postgresql", "postgres", credentials.postgres, HOST, ports["postgres"], "postgres")
    )

    def database(name: str) -> str:
        url = admin.set(username=name, password=getattr(credentials, name), database=name)
        return url.render_as_string(hide_password=False)

    return Runtime(
        home=home,
        airflow_url=f"http://{HOST}:{ports['airflow']}",
        mlflow_url=f"http://{HOST}:{ports['mlflow']}",
        aircraft_url=f"http://{HOST}:{ports['aircraft']}",
        warehouse_url=database("warehouse"),
        ops_url=database("ops"),
        airflow_database_url=database("airflow"),
        mlflow_database_url=database("mlflow"),
        admin_database_url=admin.render_as_string(hide_password=False),
        postgres_port=None if given else ports["postgres"],
        weather_folder=home / "upstream" / "weather",
        passwords=credentials.users,
        mlflow_password=credentials.mlflow_user,
    )


def ports_of(runtime: Runtime) -> dict[str, int]:
    """Return the ports a runtime uses."""
    urls = {"airflow": runtime.airflow_url, "mlflow": runtime.mlflow_url, "aircraft": runtime.aircraft_url}
    ports = {service: int(url.rpartition(":")[2]) for service, url in urls.items()}
    return ports | ({"postgres": runtime.postgres_port} if runtime.postgres_port else {})
