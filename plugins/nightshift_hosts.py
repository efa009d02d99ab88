"""The API server answers to its own names only: how browsers reach it, how tasks do, and the loopback address.

A page that has its own name lead to this server (DNS rebinding) asks for another one, and gets 421. Names
beside the configured addresses, a tunnel's for instance, are listed in ``NIGHTSHIFT_ALLOWED_HOSTS``.
"""

from airflow.plugins_manager import AirflowPlugin

from nightshift.hosts import OwnHosts
from nightshift.orchestration.hosts import api_server_names


class NightshiftHosts(AirflowPlugin):
    """Stands in front of the API server."""

    name = "nightshift_hosts"
    fastapi_root_middlewares = [
        {"name": "Own hosts", "middleware": OwnHosts, "kwargs": {"names": api_server_names()}}
    ]
