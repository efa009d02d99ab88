"""Where each service listens. Loopback only; a port once chosen is kept, so that URLs stay as they were."""

import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from sqlalchemy.engine import URL, make_url

from nightshift.errors import NotReady
from nightshift.runtime.credentials import Credentials
from nightshift.runtime.state import Runtime
from nightshift.specs.derived import ROLES, login_of

HOST = "127.0.0.1"
NONE: Mapping[str, int] = MappingProxyType({})
PREFERRED = {"airflow": 8080, "mlflow": 5000, "postgres": 54320}
DATABASES = ("airflow", "mlflow", "warehouse")
# Ports above this and below those of outgoing connections are hardly anybody's.
LOWEST, MOST_TRIES = 20_000, 50
OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


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


def choose_ports(
    remembered: Mapping[str, int], ours: frozenset[int] = frozenset(), added: Mapping[str, int] = NONE
) -> dict[str, int]:
    """Return a port for each service: the remembered one, else the preferred one, else any free one.

    ``ours`` are ports on which our own processes still listen, ``added`` the project's services with the ports that
    they prefer. ``NIGHTSHIFT_<SERVICE>_PORT`` wins.

    Raises:
        NotReady: a port that was asked for is taken.
    """
    chosen: dict[str, int] = {}
    for service, preferred in (PREFERRED | dict(added)).items():
        asked = os.environ.get(_variable(service))
        candidates = [remembered[service]] if service in remembered else []
        candidates += [preferred]
        usable = [p for p in candidates if p in ours or (is_free(p) and p not in chosen.values())]
        chosen[service] = _asked(service, asked, ours) if asked else (usable or [_other(chosen)])[0]
    return chosen


def _other(chosen: Mapping[str, int]) -> int:
    return next(port for port in iter(any_free_port, None) if port not in chosen.values())


def _variable(service: str) -> str:
    return f"NIGHTSHIFT_{service.upper().replace('-', '_')}_PORT"


def _asked(service: str, asked: str, ours: frozenset[int]) -> int:
    if not asked.isdecimal() or not 0 < int(asked) < 1 << 16:
        raise NotReady(f"{_variable(service)}: {asked!r} is not a port")
    if int(asked) not in ours and not is_free(int(asked)):
        raise NotReady(f"{_variable(service)}: somebody else listens on port {asked}")
    return int(asked)


def any_free_port() -> int:
    """Return a port that was free a moment ago, where it can be one that the kernel gives to no outgoing connection.

    Of the others, one may be taken by a stranger's connection while the service that it belongs to is started again.
    """
    for _ in range(MOST_TRIES):
        port = LOWEST + secrets.randbelow(max(_first_outgoing() - LOWEST, 1))
        if is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _first_outgoing() -> int:
    try:
        return int(OUTGOING.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return LOWEST


def arrange(home: Path, credentials: Credentials, ports: Mapping[str, int]) -> Runtime:
    """Return the runtime of ``home``. A server given by ``NIGHTSHIFT_DATABASE_URL`` wins over our own."""
    given = os.environ.get("NIGHTSHIFT_DATABASE_URL")
    admin = (
        make_url(given).set(drivername="postgresql")
        if given
        else URL.create("postgresql", "postgres", credentials.postgres, HOST, ports["postgres"], "postgres")
    )

    def database(name: str, login: str | None = None, password: str | None = None) -> str:
        own = credentials.added[name] if name in credentials.added else getattr(credentials, name)
        url = admin.set(username=login or name, password=password or own, database=name)
        return url.render_as_string(hide_password=False)

    return Runtime(
        home=home,
        airflow_url=f"http://{HOST}:{ports['airflow']}",
        mlflow_url=f"http://{HOST}:{ports['mlflow']}",
        warehouse_url=database("warehouse"),
        airflow_database_url=database("airflow"),
        mlflow_database_url=database("mlflow"),
        admin_database_url=admin.render_as_string(hide_password=False),
        postgres_port=None if given else ports["postgres"],
        passwords=credentials.users,
        mlflow_password=credentials.mlflow_user,
        services={name: f"http://{HOST}:{port}" for name, port in ports.items() if name not in PREFERRED},
        databases={name: database(name) for name in credentials.added},
        warehouse_urls={
            role: database("warehouse", login_of(role), credentials.logins[login_of(role)]) for role in ROLES
        },
    )


def ports_of(runtime: Runtime) -> dict[str, int]:
    """Return the ports a runtime uses."""
    urls = {"airflow": runtime.airflow_url, "mlflow": runtime.mlflow_url, **runtime.services}
    ports = {service: int(url.rpartition(":")[2]) for service, url in urls.items()}
    return ports | ({"postgres": runtime.postgres_port} if runtime.postgres_port else {})
