"""The MLflow tracking server, in one process: what `mlflow server --app-name basic-auth` does, behind our door.

Artifacts go through the server, so that tasks need no file system in common with it. Whoever enters has a
login; only the routes of :mod:`nightshift.runtime.mlflow_routes` are open; only the server's own names are
answered. The image's entrypoint starts it as ``python -m nightshift.runtime.mlflow_server``.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightshift.hosts import OwnHosts, listed
from nightshift.runtime.mlflow_routes import Door
from nightshift.runtime.state import write_private

USER = "nightshift"
# Each request brings the password, and to hash it takes a third of a second. A password changes only where this
# process starts anew: the routes of users are closed.
REMEMBERED_SECONDS = 300


@dataclass(frozen=True)
class Server:
    """Where it listens and keeps artifacts, its names, and the private file that tells it of its users' database."""

    host: str
    port: int
    artifacts: str
    settings: Path
    names: frozenset[str]


def run(server: Server) -> None:
    """Serve until told to stop.

    Secrets come from the environment: MLFLOW_BACKEND_STORE_URI, MLFLOW_AUTH_ADMIN_USERNAME,
    MLFLOW_AUTH_ADMIN_PASSWORD, MLFLOW_FLASK_SERVER_SECRET_KEY.
    """
    import uvicorn

    uvicorn.run(
        OwnHosts(Door(application(server)), server.names),
        host=server.host,
        port=server.port,
        log_level="warning",
        timeout_graceful_shutdown=5,
        # MLflow uses it to tidy up after its Assistant, which is behind the door.
        lifespan="off",
        ws="none",
        # Nobody may say that he is somebody else: no proxy is between.
        proxy_headers=False,
    )


def application(server: Server) -> Any:
    """Return MLflow's application with its own login, its tables made."""
    from mlflow.server import constants

    database_url = os.environ["MLFLOW_BACKEND_STORE_URI"]
    # A percent sign of the URL is not one of the file's syntax.
    uri = database_url.replace("%", "%%")
    remembered = f"auth_cache_ttl_seconds = {REMEMBERED_SECONDS}"
    write_private(
        server.settings, f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {uri}\n{remembered}\n"
    )
    # The modules read these when they are imported: as `mlflow server` hands them to its own child.
    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: database_url,
        constants.REGISTRY_STORE_URI_ENV_VAR: database_url,
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: server.artifacts,
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_AUTH_CONFIG_PATH": str(server.settings),
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(sorted(server.names)),
        # Jobs are another way to run code on the server, and behind the door like the Assistant.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    from mlflow.server.auth import create_app
    from mlflow.server.handlers import initialize_backend_stores

    bring_up_to_date(database_url)
    # Tables first: two requests at once on an empty database would both create them.
    initialize_backend_stores(database_url, database_url, "mlflow-artifacts:/")
    app = create_app()
    take_password()
    return app


def bring_up_to_date(database_url: str) -> None:
    """Migrate MLflow's tables to those of this MLflow, whose store refuses older ones; none are made where none are.

    As ``mlflow db upgrade`` does it: that takes the password on its command line, and leaves its connection open.
    """
    from mlflow.store.db import utils

    engine = utils.create_sqlalchemy_engine_with_retry(database_url)
    try:
        if not utils._is_empty_database(engine):
            utils._upgrade_db(engine)
    finally:
        engine.dispose()


def take_password() -> None:
    """Make the password of the environment the account's: MLflow itself keeps the first one for good."""
    from mlflow.server.auth import store

    name, password = (os.environ[f"MLFLOW_AUTH_ADMIN_{part}"] for part in ("USERNAME", "PASSWORD"))
    if not store.authenticate_user(name, password):
        store.update_user(name, password=password)


def main() -> None:
    """Serve in a container, as the environment says."""
    run(
        Server(
            "0.0.0.0",  # noqa: S104 - inside a network of containers that has no way out
            int(os.environ.get("MLFLOW_PORT", "5000")),
            os.environ.get("MLFLOW_ARTIFACTS", "/mlflow"),
            Path(os.environ.get("TMPDIR", "/tmp")) / "mlflow-auth.ini",  # noqa: S108 - the container's own
            listed(os.environ["MLFLOW_SERVER_ALLOWED_HOSTS"]),
        )
    )


if __name__ == "__main__":
    main()
