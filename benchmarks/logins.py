"""What a request to MLflow costs the local stack, with the password hashed for each and with the login remembered.

    PYTHONPATH=. python benchmarks/logins.py

Asks MLflow's application as the stack serves it, on an SQLite file of its own, without a network between. Prints
milliseconds of CPU a request, each of a process of its own.
"""

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

LOGIN = ("nightshift", "4f1c09ad77e25b3860d1")
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
REQUESTS = 200


def milliseconds(folder: str, remembered: int) -> float:
    """Return the CPU time of a request where a login is remembered for so many seconds, in milliseconds."""
    os.environ |= {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_AUTH_ADMIN_USERNAME": LOGIN[0],
        "MLFLOW_AUTH_ADMIN_PASSWORD": LOGIN[1],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": LOGIN[1],
    }
    from nightshift.runtime import mlflow_server

    mlflow_server.REMEMBERED_SECONDS = remembered
    names = frozenset({"localhost:1"})
    mlflow_server.application(
        mlflow_server.Server("127.0.0.1", 1, Path(folder).as_uri(), Path(folder, "auth.ini"), names)
    )
    from mlflow.server import app

    client = app.test_client()
    assert client.get(SEARCH, auth=LOGIN).status_code == 200
    began = process_time()
    for _ in range(REQUESTS):
        client.get(SEARCH, auth=LOGIN)
    return (process_time() - began) / REQUESTS * 1000


def main() -> int:
    """Print what a request costs, both ways."""
    for words, remembered in (("hashed each time", 0), ("remembered", 300)):
        with TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as one:
            print(f"{words}: {one.submit(milliseconds, folder, remembered).result():.1f} ms a request")
    return 0


if __name__ == "__main__":
    sys.exit(main())
