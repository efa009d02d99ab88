"""What the example adds to the local stack: its upstream systems, and the demo. ``include/project.yaml`` names it."""

import json
from collections.abc import Mapping
from pathlib import Path

from nightshift.runtime.configuration import endpoint
from nightshift.runtime.health import fetch
from nightshift.runtime.settings_file import Parts
from nightshift.runtime.stack import Component, Extension, Stack
from nightshift.runtime.state import Record, Runtime

UPSTREAM = "examples.nyc_flights.upstream"


def weather_folder(runtime: Runtime) -> Path:
    """Return where the weather files are."""
    return runtime.home / "upstream" / "weather"


def _connections(runtime: Runtime) -> Mapping[str, Parts]:
    return {
        "ops": endpoint(runtime.databases["ops"]),
        "aircraft_api": {**endpoint(runtime.services["aircraft"]), "schema": "http"},
        "weather_files": {"extra": json.dumps({"path": str(weather_folder(runtime))})},
    }


def _seed(stack: Stack) -> Record:
    return stack.step("upstream", UPSTREAM, "seed")


def _aircraft(stack: Stack) -> Record:
    port = stack.runtime.services["aircraft"].rpartition(":")[2]
    return stack.python("aircraft", UPSTREAM, "serve", port)


def _answers(runtime: Runtime) -> bool:
    return fetch(f"{runtime.services['aircraft']}/health") is not None


def _demo(runtime: Runtime, started_in: float) -> None:
    from examples.nyc_flights.demo import run

    run(runtime, started_in=started_in)


EXTENSION = Extension(
    components=(
        Component("upstream", _seed, needs=("databases",), kind="step"),
        Component("aircraft", _aircraft, needs=("databases",), grace=2, answers=_answers),
    ),
    services={"aircraft": 8090},
    databases=("ops",),
    folders=("upstream",),
    connections=_connections,
    demo=_demo,
)
