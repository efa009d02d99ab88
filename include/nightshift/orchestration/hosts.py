"""By which names Airflow's API server is asked for."""

import os

from airflow.configuration import conf

from nightshift.hosts import listed, names_of


def api_server_names() -> frozenset[str]:
    """Return the names of Airflow's configured addresses and those of NIGHTSHIFT_ALLOWED_HOSTS."""
    public = conf.get("api", "base_url", fallback="")
    for_tasks = conf.get("core", "execution_api_server_url", fallback="")
    # Health checks ask here.
    itself = f"http://localhost:{conf.getint('api', 'port', fallback=8080)}"
    return names_of(public, for_tasks, itself) | listed(os.environ.get("NIGHTSHIFT_ALLOWED_HOSTS", ""))
