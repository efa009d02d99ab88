"""The try-out: a fresh process loads the artifact as scoring will, and predicts.

What was fitted in this process may work in this process only: a class of the session, a patched module. The child
gets the file, its hash and rows; no connection, no secret.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

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
            "folder": str(own.folder) if own.folder else None,
            "classes": list(classes),
            "cpu_seconds": cpu_seconds,
        }
        command = [sys.executable, "-m", "nightshift.train.tryout", folder, sha256, json.dumps(told)]
        try:
            done = subprocess.run(
                command,
                env=_environment(),
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Tryout([], 0.0, [], f"no answer within {SECONDS} s")
        if done.returncode == -signal.SIGXCPU:
            return Tryout([], 0.0, [], f"no answer within {cpu_seconds} s of CPU time")
        if done.returncode:
            return Tryout(
                [], 0.0, [], (done.stderr.strip().splitlines() or ["it died without a word"])[-1][:300]
            )
        return Tryout(**json.loads((Path(folder) / "answer.json").read_text()))


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


if __name__ == "__main__":
    target, given = Path(sys.argv[1]), json.loads(sys.argv[3])
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (given["cpu_seconds"], most))
    ours = Own(tuple(given["types"]), Path(given["folder"]) if given["folder"] else None)
    (target / "answer.json").write_text(json.dumps(_answer(target, sys.argv[2], ours, given["classes"])))
