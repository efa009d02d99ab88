"""The launcher: Airflow is imported once, and every component is a fork of that one import.

Importing Airflow costs 5 to 7 CPU-seconds, the ML libraries another 16. A component that is forked starts
without paying either, and shares the memory. There are two launchers: this one, and a fork of it that has
imported the ML libraries too, from which come the scheduler (whose LocalExecutor forks the tasks) and
MLflow; the others never carry them.

The launcher takes orders over a socket from the supervisor, and ends when that socket closes. It must hold
no thread and no connection when it forks, so it never touches the database itself.
"""

import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path

from nightshift.orchestration.preload import import_heavy

LARGEST_ORDER = 1 << 16


@dataclass(frozen=True)
class Order:
    """What to become: a role of :data:`ROLES`, with its arguments, its secrets, the sockets or pipes handed over."""

    role: str
    arguments: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    descriptors: list[int] = field(default_factory=list)


def main() -> None:
    """Import Airflow, then serve orders on the socket whose number is the first argument."""
    gc.disable()  # imports make objects to keep: looking through them over and over is a sixth of the time
    import_airflow()
    order = serve(socket.socket(fileno=int(sys.argv[1])))
    # Only a fork gets here with an order; the launcher itself returns None when its supervisor is gone.
    while order is not None and order.role == "launcher":
        import_for_tasks()
        order = serve(socket.socket(fileno=order.descriptors[0]))
    if order is not None:
        ROLES[order.role](order)


def serve(control: socket.socket) -> Order | None:
    """Fork for each order and answer with the pid. Returns in the fork, with what it is to become."""
    # The kernel collects our dead children: the supervisor watches them, not we.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()  # a collection in a fork would touch, and so copy, every page
    control.send(json.dumps({"ready": os.getpid()}).encode())
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, LARGEST_ORDER, 4)
        if not message:
            return None
        pid = os.fork()
        if pid == 0:
            control.close()
            return _settle(json.loads(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(json.dumps({"pid": pid}).encode())


def import_airflow() -> None:
    """Import what the components share."""
    from airflow.cli import cli_parser
    from airflow.providers_manager import ProvidersManager

    ProvidersManager().initialize_providers_configuration()
    cli_parser.get_parser()
    for name in ("airflow.api_fastapi.app", "airflow.jobs.scheduler_job_runner", "airflow.models.dagbag"):
        import_module(name)


def import_for_tasks() -> None:
    """Import what tasks would import; a hook of PostgreSQL is half a CPU-second in each that collects by SQL."""
    for name in ("airflow.sdk.execution_time.task_runner", "airflow.providers.postgres.hooks.postgres"):
        import_module(name)
    import_heavy()


def _settle(order: dict[str, object], descriptors: list[int]) -> Order:
    """Make the fork a process of its own: session, log, signals."""
    os.setsid()
    if order["role"] != "launcher":
        gc.enable()
        # Also in what this one forks: workers that wait for tasks would else copy what they never look at.
        os.register_at_fork(after_in_child=gc.freeze)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log, *others = descriptors
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    return Order(descriptors=others, **order)  # type: ignore[arg-type]


def learn(secrets: Mapping[str, str]) -> None:
    """Tell this component its secrets, and have all that it forks forget them: tasks, DAG files, triggers.

    Airflow was imported without them: what it keeps of its configuration is read again.
    """
    from airflow import settings
    from airflow.configuration import conf

    before = {name: os.environ.get(name) for name in secrets}
    os.environ |= secrets
    settings.dispose_orm()
    settings.configure_vars()
    settings.configure_orm()
    conf.mask_secrets()
    os.register_at_fork(after_in_child=partial(forget, before))


def forget(before: Mapping[str, str | None]) -> None:
    """Put the environment back as it was, and Airflow's copies of it."""
    from airflow import settings
    from airflow.models import crypto

    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    settings.configure_vars()
    crypto.get_fernet.cache_clear()


def _airflow(order: Order) -> None:
    """Run ``airflow`` with the order's arguments."""
    from airflow.__main__ import main as airflow

    learn(order.secrets)
    # The scheduler's command line is how orchestration.preload recognises it.
    sys.argv = ["airflow", *order.arguments]
    airflow()


def _metadata(order: Order) -> None:
    """Migrate Airflow's database and apply airflow_settings.yaml; report through the pipe handed over."""
    from airflow.utils.db import initdb

    from nightshift.runtime import settings_file

    learn(order.secrets)
    settings, local = order.arguments
    initdb()
    settings_file.apply(settings_file.Settings.model_validate_json(settings), json.loads(local))
    os.write(order.descriptors[0], b"done")


def _mlflow(order: Order) -> None:
    """Run the MLflow server in this process; its own command would start a second one beside it."""
    from nightshift.runtime.mlflow_server import Server, run

    os.environ |= order.secrets
    port, artifacts, settings, *names = order.arguments
    run(Server("127.0.0.1", int(port), artifacts, Path(settings), frozenset(names)))


def _alerts(order: Order) -> None:
    """Look for alerts and send them, once, if Airflow does not."""
    from nightshift.orchestration.watch import watch

    learn(order.secrets)
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"  # connections are read as the API server reads them
    watch(json.loads(order.arguments[0]))


def _housekeeping(order: Order) -> None:
    """Take away what retention may, with the databases' own logins, once; report through the pipe handed over."""
    from nightshift.runtime import housekeeping

    learn(order.secrets)
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"  # connections are read as the API server reads them
    housekeeping.keep_house(os.environ["MLFLOW_BACKEND_STORE_URI"], order.arguments[0])
    os.write(order.descriptors[0], b"done")


ROLES: dict[str, Callable[[Order], None]] = {
    "airflow": _airflow,
    "metadata": _metadata,
    "mlflow": _mlflow,
    "alerts": _alerts,
    "housekeeping": _housekeeping,
}

if __name__ == "__main__":
    main()
