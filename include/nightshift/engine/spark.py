"""On Apache Spark: shards as files, each done by one of its tasks; what comes back is receipts.

Spark is driven by a process of its own (``spark_driver``), which is told what it needs and no secret of the task's. It
ends with the task, however that ends: its input closes, so it exits, so the JVM's input closes. Nothing of ours is
pickled: a task of Spark is told the plan's file and its shard's number.
"""

import json
import logging
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import pyarrow as pa

from nightshift import errors, processes
from nightshift.collect import Connection
from nightshift.engine.job import Job
from nightshift.engine.parts import BuildJob, Dealt, Part
from nightshift.engine.receipts import Receipt, checked
from nightshift.engine.shards import RECEIPT, planned, planned_build, spread
from nightshift.errors import ArtifactRefused, NightshiftError, NotReady, SpecError, Unreachable

log = logging.getLogger(__name__)
D = TypeVar("D")

LOCAL = re.compile(r"local(\[(\*|\d+)(, *\d+)?\]|-cluster\[\d+, *\d+, *\d+\])?")
REMOTE = re.compile(r"spark://[A-Za-z0-9.-]+:\d+(,[A-Za-z0-9.-]+:\d+)*")
# What the connection's extra may set: how much, how often, and where from; nothing that names code.
MAY_SET = re.compile(
    r"spark\.(executor\.(memory|memoryOverhead|cores|instances)|cores\.max|driver\.(memory|host|bindAddress|port)"
    r"|blockManager\.port|driver\.blockManager\.port|port\.maxRetries|task\.maxFailures|speculation(\.[A-Za-z.]+)?"
    r"|network\.(timeout|crypto\.(enabled|cipher|saslFallback|authEngineVersion))|ssl\.[A-Za-z.]+)"
)
# What a process needs to run at all, and what the local stack knows its own by; all else of a task's environment may
# hold its secrets.
PASSED = re.compile(
    r"PATH|HOME|LANG|LC_\w+|TZ|JAVA_HOME|TMPDIR|PYTHONPATH|PYTHONDONTWRITEBYTECODE|NIGHTSHIFT_INCLUDE"
    r"|NIGHTSHIFT_SUPERVISED|(OMP|MKL|OPENBLAS|NUMEXPR)_\w+|JE_ARROW_MALLOC_CONF"
)
TRIES = {"spark.task.maxFailures": "4"}
# It plans and passes on: half the CPU-seconds to start, and no file outside the task's folder.
SMALL = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"
END_SECONDS, LINES = 20, 20
# A line of what went wrong that says why, among the many that say where.
CAUSE = re.compile(r"\s*(Caused by: )?[\w.]*Error\b.*")


@dataclass(frozen=True)
class Spark:
    """``folder``: which tasks and workers see under the same path; None: one machine. ``conf``: beyond our own."""

    master: str
    folder: Path | None = None
    conf: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: str | None = field(default=None, repr=False)
    without_secrets: Callable[[str], str] = field(default=str, repr=False)

    @classmethod
    def at(cls, found: Connection) -> "Spark":
        """Return the Spark of a connection: ``host`` (and ``port``) its master, ``extra`` ``folder`` and ``conf``.

        Raises:
            SpecError: the connection is none of a Spark that can be used; it says what was expected.
            NotReady: this Python has no pyspark, or this machine no Java.
        """
        master = f"{found.host or ''}:{found.port}" if found.port else found.host or ""
        where = f"connection '{found.id}'"
        is_local = bool(LOCAL.fullmatch(master))
        if not (is_local or REMOTE.fullmatch(master)):
            raise SpecError(
                f"{where}: host '{found.without_secrets(master)}': expected local[N], local-cluster[N,CORES,MB] or "
                "spark://HOST:PORT"
            )
        folder = _folder(found, where, is_needed=not is_local)
        conf = _conf(found, where)
        if not (found.password or "").isprintable():
            raise SpecError(f"{where}: password: expected one line of characters that can be printed")
        require_installed()
        return cls(master, folder, conf, found.password, found.without_secrets)

    @property
    def is_local(self) -> bool:
        """Whether all of it runs on this machine."""
        return bool(LOCAL.fullmatch(self.master))

    @contextmanager
    def started(self, folder: Path) -> Iterator["_Driver"]:
        """Yield what runs jobs there; all of it is ended with the block. Its own files lie in ``folder``.

        Raises:
            Unreachable: it does not start.
        """
        own = folder.resolve() / "spark"
        if re.search(r'[,"\\]', str(own)) or not str(own).isprintable():
            raise SpecError(
                f"folder {own}: Spark takes none with a comma, a quote or a backslash in its path"
            )
        own.mkdir(mode=0o700)
        with (own / "log").open("wb") as told:
            process = subprocess.Popen(
                [sys.executable, "-m", "nightshift.engine.spark_driver"],
                cwd=own,  # nothing there is taken for a module
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=told,
                env=self._environment(own),
                start_new_session=True,
                text=True,
            )
        # Popen's two are there: both are pipes.
        driver = _Driver(cast("IO[str]", process.stdin), cast("IO[str]", process.stdout), own / "log", self)
        try:
            log.info("Spark %s at %s started", driver.answer()["spark"], self.master)
            yield driver
        finally:
            _end(process, driver)

    def _environment(self, own: Path) -> dict[str, str]:
        passed = {name: value for name, value in os.environ.items() if PASSED.fullmatch(name)}
        (own / "spark-defaults.conf").touch(mode=0o600)
        conf = {**TRIES, **self.conf, **self._own_conf(own)}
        # As Java reads properties: a backslash would join the next line to this one.
        lines = (f"{name}={value}\n".replace("\\", r"\\") for name, value in conf.items())
        (own / "spark-defaults.conf").write_text("".join(lines))
        loopback = (
            {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "127.0.0.1"} if self.is_local else {}
        )
        return passed | loopback | {"SPARK_CONF_DIR": str(own), "PYSPARK_PYTHON": sys.executable}

    def _own_conf(self, own: Path) -> dict[str, str]:
        """Return what is set here: no pages, this machine's own address, temporary files with the task's."""
        secret = self.secret or (secrets.token_hex(32) if self.is_local else None)
        conf = {
            "spark.master": self.master,
            "spark.app.name": "nightshift",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.local.dir": str(own),
            "spark.sql.warehouse.dir": str(own / "warehouse"),
            "spark.driver.extraJavaOptions": f'"-Djava.io.tmpdir={own}" {SMALL}',
            "spark.python.daemon.module": "nightshift.engine.spark_daemon",
        }
        if self.is_local:
            conf |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        if secret:
            conf |= {"spark.authenticate": "true", "spark.authenticate.secret": secret}
        return conf


def _conf(found: Connection, where: str) -> dict[str, str]:
    conf = found.extra.get("conf") or {}
    if not isinstance(conf, dict):
        raise SpecError(f"{where}: extra.conf: expected names and values, got {type(conf).__name__}")
    for name, value in conf.items():
        if not MAY_SET.fullmatch(name) or not str(value).isprintable():
            raise SpecError(f"{where}: extra.conf: '{name}' may not be set; docs/engines.md lists what may")
    return {name: str(value) for name, value in conf.items()}


def _folder(found: Connection, where: str, *, is_needed: bool) -> Path | None:
    folder = found.extra.get("folder")
    if not folder and is_needed:
        raise SpecError(f"{where}: extra.folder: missing; a folder that tasks and workers of Spark both see")
    if not folder:
        return None
    if not (isinstance(folder, str) and Path(folder).is_absolute() and Path(folder).is_dir()):
        raise SpecError(f"{where}: extra.folder: expected the absolute path of a folder that is there")
    return Path(folder)


@dataclass(frozen=True)
class _Driver:
    """The process that drives Spark: a line is asked, a line is answered."""

    asks: IO[str]
    answers: IO[str]
    log: Path
    spark: Spark

    def score(self, job: Job, blocks: Iterator[pa.Table], folder: Path) -> list[Receipt]:
        """Return a receipt a block, in their order; what is served of each lies in ``folder``.

        Raises:
            NightshiftError: what a worker refused.
            Unreachable: Spark gave up: workers went away too often.
        """
        shards = spread(blocks, folder)
        if not shards:
            return []
        receipts = self._done(planned(job, shards, folder), len(shards), Receipt)
        for shard, receipt in zip(shards, receipts, strict=True):
            checked(receipt, folder, shard.rows)
            shard.file.unlink()
        return receipts

    def build(self, job: BuildJob, shards: Sequence[Dealt], folder: Path) -> list[list[Part]]:
        """Return, of each shard, its part of each night; what is built lies in ``folder``.

        Raises:
            NightshiftError: what a worker refused.
            Unreachable: Spark gave up: workers went away too often.
        """
        found = self._done(planned_build(job, shards, folder), len(shards), list)
        for part in (part for of in found for part in of):
            if part.file and part.file.parent != folder:
                raise ArtifactRefused(f"part {part.file}: expected a file in {folder}")
        return found

    def _done(self, plan: Path, count: int, kind: type[D]) -> list[D]:
        """Return what the workers say of each shard of a plan."""
        log.info("%d shards to Spark at %s", count, self.spark.master)
        self._say({"plan": str(plan), "shards": count})
        answers = self.answer()
        return [_receipt(answers.get(str(number)), number, kind) for number in range(count)]

    def answer(self) -> dict[str, Any]:
        """Return the next answer. Raises Unreachable, with the end of its log, if there is none."""
        line = self.answers.readline()
        answer = json.loads(line) if line else {"failed": "its process ended"}
        if "failed" in answer:
            told = self.spark.without_secrets(f"{answer['failed']}\n{self._tail()}")
            log.error("Spark: %s", told)  # its own log goes with the task's folder
            causes = list(dict.fromkeys(line.strip() for line in told.splitlines() if CAUSE.fullmatch(line)))
            raise Unreachable(
                f"Spark: {'; '.join(causes[-3:]) or told.splitlines()[0]}; the task's log says more"
            )
        return dict(answer)

    def _say(self, asked: Mapping[str, Any]) -> None:
        with suppress(BrokenPipeError):  # the answer, or that there is none, says why
            self.asks.write(json.dumps(asked) + "\n")
            self.asks.flush()

    def _tail(self) -> str:
        """Return the last errors in the log, with what follows each; else its end."""
        lines = self.log.read_text(errors="replace").splitlines()
        errors_at = [number for number, line in enumerate(lines) if " ERROR " in line][-3:]
        told = [line for number in errors_at for line in lines[number : number + LINES]]
        return "\n".join(told or lines[-LINES:])


def _receipt(answer: Any, number: int, kind: type[D]) -> D:
    """Return the receipt in an answer. Raises what the worker raised."""
    if not isinstance(answer, dict):
        raise Unreachable(f"Spark: shard {number} has no answer")
    if "receipt" in answer:
        found = RECEIPT.validate_python(answer["receipt"])
        if not isinstance(found, kind):
            raise Unreachable(f"Spark: shard {number} is answered by {type(found).__name__}")
        return found
    error, words = getattr(errors, answer["error"], None), answer["words"]
    if isinstance(error, type) and issubclass(error, NightshiftError):
        raise error(words)
    log.error("shard %d: %s", number, answer["trace"])
    raise ValueError(f"shard {number}: {answer['error']}: {words}")


def _end(process: subprocess.Popen[str], driver: _Driver) -> None:
    """End the driver and all that it started: its input closes; what is left after a while is killed."""
    with suppress(BrokenPipeError):
        driver.asks.close()
    until = time.monotonic() + END_SECONDS
    while _members(process.pid) and time.monotonic() < until:
        time.sleep(0.05)
    processes.kill(_members(process.pid))
    process.wait()
    driver.answers.close()


def _members(session: int) -> list[processes.Process]:
    """Return the processes of a session that live. Workers have groups of their own; the session they share."""
    return [each for each in processes.everyone() if each.session == session]


def require_installed(found: Callable[[str], object] = find_spec) -> None:
    """Raise NotReady, saying what to do, unless pyspark and Java are here."""
    if found("pyspark") is None:
        raise NotReady(
            "compute: spark: pyspark is not installed here; run `make spark` (in production use the image's target "
            "`spark`), or declare compute: here"
        )
    home = os.environ.get("JAVA_HOME")
    java = Path(home, "bin", "java") if home else None
    if not (java and java.is_file()) and shutil.which("java") is None:
        raise NotReady(
            "compute: spark: no Java on the path and none in JAVA_HOME; install Java 17 or later (Debian: "
            "openjdk-17-jre-headless), or declare compute: here"
        )
