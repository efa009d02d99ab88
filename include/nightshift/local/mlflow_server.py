"""The MLflow tracking server, in one process: what `mlflow server` does, without the command around it.

Artifacts go through the server, so that tasks need no file system in common with it. Jobs and telemetry are
off (configuration). Other host names than the loopback's get 403, which is MLflow's default.
"""

import os


def run(port: str, database_url: str, artifacts: str) -> None:
    """Serve on the loopback address until told to stop."""
    from mlflow.server import constants

    # fastapi_app reads these when it is imported: as `mlflow server` hands them to its own child.
    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: database_url,
        constants.REGISTRY_STORE_URI_ENV_VAR: database_url,
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: artifacts,
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
    }
    import uvicorn
    from mlflow.server.handlers import initialize_backend_stores

    # Tables first: two requests at once on an empty database would both create them.
    initialize_backend_stores(database_url, database_url, "mlflow-artifacts:/")
    uvicorn.run(
        "mlflow.server.fastapi_app:app",
        host="127.0.0.1",
        port=int(port),
        log_level="warning",
        timeout_graceful_shutdown=5,
    )
