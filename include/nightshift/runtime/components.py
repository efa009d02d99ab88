"""What the stack consists of: a table at the foot of this module, and how each row is started.

``needs`` are the rows that must be well before this one is started. Services run on and are watched; steps
run once, at the start. A project adds rows of its own: see :func:`extension`.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module

from nightshift.errors import SpecError
from nightshift.root import INCLUDE, ROOT
from nightshift.runtime import configuration, databases, postgres, settings_file
from nightshift.runtime.endpoints import DATABASES, ports_of
from nightshift.runtime.settings_file import Parts
from nightshift.runtime.stack import Component, Extension, Stack
from nightshift.runtime.state import Record, Runtime


def _postgres(stack: Stack) -> Record | None:
    port = stack.runtime.postgres_port
    if port is None:
        return None  # somebody else's server: watched, not started
    server = postgres.prepare(stack.runtime.home, stack.credentials.postgres)
    return stack.spawn("postgres", server.command(port), **server.account.identity)


def _databases(stack: Stack) -> None:
    passwords = {name: getattr(stack.credentials, name) for name in DATABASES}
    ours = stack.runtime.postgres_port is not None
    owners = passwords | stack.credentials.added
    admin, whose = stack.runtime.admin_database_url, stack.credentials.installation
    databases.create(admin, owners, stack.credentials.logins, installation=whose, is_ours=ours)


def _launcher(stack: Stack) -> Record:
    with stack.open_control("launcher") as theirs:
        number = theirs.fileno()
        return stack.python(
            "launcher", "nightshift.runtime.airflow_launcher", str(number), pass_fds=(number,)
        )


def _preloaded(stack: Stack) -> Record:
    with stack.open_control("ml-launcher") as theirs:
        return stack.fork("launcher", "ml-launcher", "launcher", hand_over=(theirs.fileno(),))


def _metadata(stack: Stack) -> Record:
    settings = settings_file.read(ROOT / "airflow_settings.yaml").model_dump_json()
    writing = stack.open_report("metadata")
    try:
        local = json.dumps(connections(stack.runtime, stack.extension))
        return stack.fork("launcher", "metadata", "metadata", settings, local, hand_over=(writing,))
    finally:
        os.close(writing)


def _warehouse(stack: Stack) -> Record:
    return stack.step("warehouse", "nightshift.runtime.prepare")


def _mlflow(stack: Stack) -> Record:
    home, url = stack.runtime.home, stack.runtime.mlflow_url
    artifacts = (home / "mlflow-artifacts").as_uri()
    port = str(ports_of(stack.runtime)["mlflow"])
    settings = str(home / "mlflow-auth.ini")
    return stack.fork(
        "ml-launcher", "mlflow", "mlflow", port, artifacts, settings, *sorted(configuration.own_names(url))
    )


def _airflow(launcher: str, *arguments: str) -> Callable[[Stack], Record]:
    return lambda stack: stack.fork(launcher, arguments[0], "airflow", *arguments)


COMPONENTS: tuple[Component, ...] = (
    Component("postgres", _postgres, grace=30, ask=signal.SIGINT, patience=20),
    Component("launcher", _launcher, kind="launcher", grace=2),
    # Of all that happens at the start this takes longest, so it goes first.
    Component("ml-launcher", _preloaded, needs=("launcher",), kind="launcher", grace=2),
    Component("databases", _databases, needs=("postgres",), kind="step"),
    Component("warehouse", _warehouse, needs=("databases",), kind="step"),
    Component("metadata", _metadata, needs=("launcher", "databases"), kind="step"),
    Component("api-server", _airflow("launcher", "api-server"), needs=("postgres", "launcher", "metadata")),
    Component(
        "dag-processor", _airflow("launcher", "dag-processor"), needs=("postgres", "launcher", "metadata")
    ),
    # Logs are files here: nobody needs Airflow's log servers, which would listen on every interface.
    Component(
        "triggerer",
        _airflow("launcher", "triggerer", "--skip-serve-logs"),
        needs=("postgres", "launcher", "metadata"),
    ),
    Component(
        "scheduler",
        _airflow("ml-launcher", "scheduler", "--skip-serve-logs"),
        needs=("postgres", "ml-launcher", "metadata"),
    ),
    Component("mlflow", _mlflow, needs=("postgres", "ml-launcher", "databases"), grace=8),
)


def connections(runtime: Runtime, extension: Extension) -> dict[str, Parts]:
    """Return what is laid over the connections of ``airflow_settings.yaml``, by id: ours over a project's."""
    return {**extension.connections(runtime), **configuration.connections(runtime)}


@cache
def extension() -> Extension:
    """Return what the project adds, as ``components`` in its project.yaml says; nothing if it says nothing.

    Raises:
        SpecError: naming the key, when what it names cannot be imported, or is no Extension.
    """
    from nightshift.specs import load_settings

    file = INCLUDE / "project.yaml"
    named = load_settings(INCLUDE).components
    if named is None:
        return Extension()
    module, _, attribute = named.partition(":")
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))  # behind all else: it names modules for nobody but itself
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SpecError(
            f"{file}: key 'components': {named}: {error}; expected module:NAME below {ROOT}"
        ) from error
    if not isinstance(found, Extension):
        kind = type(found).__name__
        raise SpecError(
            f"{file}: key 'components': {named} is a {kind}; expected nightshift.runtime.stack.Extension"
        )
    return found


def table() -> dict[str, Component]:
    """Return the rows of this project's stack by name: ours, then what the project adds.

    Raises:
        SpecError: two have one name.
    """
    rows = {component.name: component for component in COMPONENTS}
    for component in extension().components:
        if component.name in rows:
            raise SpecError(f"component '{component.name}': the stack has one of that name; choose another")
        rows[component.name] = component
    return rows
