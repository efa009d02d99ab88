"""The try-out: a fresh process loads the artifact as scoring will, and predicts.

What was fitted in this process may work in this process only: a class of the session, a patched module. The child
gets the file, its hash and rows; no connection, no secret. It is forked by a server that has imported the libraries
and nothing else, so that many try-outs of one process import them once.
"""

import io
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TextIO

import pandas as pd

from nightshift import artifacts
from nightshift.specs import NOTHING, Own
from nightshift.train.fitting import predict

# CPU time, so that a busy machine rejects no good model; the wall clock ends what sleeps.
CPU_SECONDS, SECONDS = 120, 1800
TIMED_ROWS, ROUNDS = 1000, 5
ENGINE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Tryout:
    """``predictions``: a number a row, or one a class and row. ``milliseconds``: for a thousand rows.

    ``error``: the last line of what went wrong.
    """

    predictions: list[Any]
    milliseconds: float
    features: list[str]
    error: str | None = None


def try_out(
    content: bytes,
    sha256: str,
    rows: pd.DataFrame,
    own: Own = NOTHING,
    classes: Sequence[str] = (),
    *,
    cpu_seconds: int = CPU_SECONDS,
) -> Tryout:
    """Return what a fresh process made of a model file: loaded by its hash and the allow-list, asked for ``rows``."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model").write_bytes(content)
        rows.to_parquet(Path(folder) / "rows.parquet")
        told = {
            "types": own.types,
            "folder_of_own": str(own.folder) if own.folder else None,
            "classes": list(classes),
            "cpu_seconds": cpu_seconds,
        }
        status = _SERVER.ask({"folder": folder, "sha256": sha256, **told})
        if status == -signal.SIGALRM:
            return Tryout([], 0.0, [], f"no answer within {SECONDS} s")
        if status == -signal.SIGXCPU:
            return Tryout([], 0.0, [], f"no answer within {cpu_seconds} s of CPU time")
        if status:
            said = (Path(folder) / "said").read_text(errors="replace").strip().splitlines()
            return Tryout([], 0.0, [], (said or ["it died without a word"])[-1][:300])
        return Tryout(**json.loads((Path(folder) / "answer.json").read_text()))


class _ForkServer:
    """A process that forks one child a request. It ends with its wire, so with the process that asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._wire: TextIO = io.StringIO()
        self._asked_by = 0

    def ask(self, request: dict[str, Any]) -> int:
        """Return how the child for this request ended: 0, its exit code, or minus the signal that ended it."""
        with self._lock:
            # A forked process has a server of its own: two would read each other's answers.
            if self._process is None or self._asked_by != os.getpid() or self._process.poll() is not None:
                self._start()
            try:
                self._wire.write(json.dumps(request) + "\n")
                self._wire.flush()
                return int(self._wire.readline())
            except (OSError, ValueError):  # the server was killed; the next request starts another
                self._end()
                return -signal.SIGKILL

    def _end(self) -> None:
        with suppress(OSError):  # what is still to be sent
            self._wire.close()
        if self._process:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            command = [sys.executable, "-m", "nightshift.train.tryout"]
            self._process = subprocess.Popen(
                command,
                env=_environment(),
                cwd=tempfile.gettempdir(),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
            )
            self._wire, self._asked_by = ours.makefile("rw"), os.getpid()


_SERVER = _ForkServer()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    threads = {
        name: os.environ[name] for name in os.environ if name.startswith(("OMP_", "OPENBLAS_", "MKL_"))
    }
    return {**kept, **threads, "PYTHONPATH": str(ENGINE)}


def _answer(folder: Path, sha256: str, own: Own, classes: Sequence[str]) -> dict[str, object]:
    with own.importable():
        pipeline = artifacts.load((folder / "model").read_bytes(), sha256, own.types)
    rows = pd.read_parquet(folder / "rows.parquet")
    many = pd.concat([rows] * -(-TIMED_ROWS // len(rows)), ignore_index=True).head(TIMED_ROWS)
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        predict(pipeline, many, classes)
        taken.append((time.perf_counter() - began) * 1000)
    return {
        "predictions": predict(pipeline, rows, classes).tolist(),
        "milliseconds": median(taken),
        "features": [str(name) for name in pipeline.feature_names_in_],
    }


def _child(request: dict[str, Any]) -> None:
    """Answer a request in this process, which has been forked for it; what it says goes into a file."""
    folder = Path(request["folder"])
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.chdir(folder)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (request["cpu_seconds"], most))
    signal.alarm(SECONDS)
    own = Own(tuple(request["types"]), Path(request["folder_of_own"]) if request["folder_of_own"] else None)
    answer = _answer(folder, request["sha256"], own, request["classes"])
    (folder / "answer.json").write_text(json.dumps(answer))


def _serve() -> None:
    """Fork a child for each line of standard input and print how it ended."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                _child(json.loads(line))
                code = 0
            except:  # noqa: E722 - whatever it was, this process ends here
                traceback.print_exc()
            os._exit(code)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve()
