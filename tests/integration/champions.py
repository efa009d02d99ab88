"""Champions of the tests' own: the month's under another name, or trained; a registry that is interrupted."""

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from datetime import date
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any
from uuid import uuid4

from nightshift import stages
from nightshift.objects import Objects
from nightshift.records.snapshots import SNAPSHOT
from nightshift.records.versions import Registered
from nightshift.registry import Registry
from nightshift.rows import select
from nightshift.specs import Model, load_project
from nightshift.stages import Platform, Try
from nightshift.stages.train import SPEC_FILE, Made, register, spec_text
from nightshift.warehouse import Json, Warehouse

MODEL = "late_arrival"
REACHED_SECONDS = 120
FIRST = select(Registered, "model = %(model)s")
# Each process is one of its own; what all of them import is imported once.
KILLED = get_context("forkserver")
KILLED.set_forkserver_preload(["nightshift.stages"])


def with_spec(platform: Platform, change: Callable[[dict], object], name: str = MODEL) -> Platform:
    """Return the platform with a model of this name alone: the small one, changed."""
    content = platform.project.model(next(iter(platform.project.models))).model_dump(by_alias=True)
    change(content)
    models = {name: Model.model_validate({**content, "name": name})}
    return replace(platform, project=platform.project.model_copy(update={"models": models}))


def own(platform: Platform) -> tuple[Platform, str]:
    """Return the platform with a model that no other test has, and its name: the registry is shared."""
    name = f"own_{uuid4().hex[:12]}"
    return with_spec(platform, lambda _: None, name), name


def owned(loop: Platform, registry: Registry | None = None) -> tuple[Platform, str, int]:
    """Return the month with its champion as that of a model of the test's own: platform, name, version.

    Its file, metrics and decision are those of the month's: what was fitted and judged once is not fitted again. The
    snapshot, the version and the promotion are its own. ``registry``: where it is registered, if elsewhere.
    """
    platform, name = own(replace(loop, registry=registry or loop.registry))
    model, asked = platform.project.model(name), Try(f"first of {name}")
    first = loop.warehouse.all(FIRST, model=MODEL)[0]
    as_of = loop.warehouse.rows("SELECT as_of FROM governance.decisions WHERE model = %s", (MODEL,))[0][
        "as_of"
    ]
    frozen = stages.snapshot(platform, name, as_of, asked)["snapshot_id"]
    snapshot = platform.warehouse.one(SNAPSHOT, snapshot_id=frozen)
    assert snapshot

    def copied(run_id: str) -> Made:
        source, target = loop.registry._client, platform.registry._client
        with tempfile.TemporaryDirectory() as folder:
            source.download_artifacts(first.mlflow_run_id, "", folder)
            (Path(folder) / SPEC_FILE).write_text(spec_text(model))
            target.log_artifacts(run_id, folder)
        logged = source.get_run(first.mlflow_run_id).data
        platform.registry.log(run_id, params=logged.params, metrics=logged.metrics)
        return Made(**{each.name: getattr(first, each.name) for each in fields(Made)})

    version = register(platform, model, snapshot, asked, "a test", copied)["version"]
    changed = {"training_id": asked.run_id, "model": name, "challenger": version, "snapshot_id": frozen}
    changed["reason"] = "a test"
    platform.warehouse.execute(
        "INSERT INTO governance.decisions SELECT (jsonb_populate_record(d, %s)).* FROM governance.decisions d "
        "WHERE model = %s",
        (Json(changed), MODEL),
    )
    stages.promote(platform, name, as_of, asked, actor="tester")
    return platform, name, version


def better(platform: Platform, name: str = MODEL) -> Platform:
    """Return the platform with a spec that beats the small one."""
    return with_spec(
        platform, lambda m: m["estimator"]["params"].update(max_iter=60, learning_rate=0.05), name
    )


def judged(platform: Platform, name: str, as_of: date, run_id: str) -> dict[str, Any]:
    """Train up to the decision."""
    asked = Try(run_id)
    frozen = stages.snapshot(platform, name, as_of, asked)
    stages.fit(platform, name, frozen["snapshot_id"], asked, reason="a test")
    return stages.evaluate(platform, name, as_of, asked, reason="a test")


def promoted(platform: Platform, name: str, as_of: date, run_id: str) -> dict[str, Any]:
    """Train, judge and promote."""
    judged(platform, name, as_of, run_id)
    return stages.promote(platform, name, as_of, Try(run_id), actor="tester")


def interrupted(uri: str, method: str, happens: Callable[[], object], *, after: bool) -> Registry:
    """Return a registry at which something happens before, or after, one of its methods has done its work."""

    def call(self: Registry, *arguments: Any, **options: Any) -> Any:
        if not after:
            happens()
        answer = getattr(Registry, method)(self, *arguments, **options)
        if after:
            happens()
        return answer

    return type("Interrupted", (Registry,), {method: call})(uri)


def killed_at(
    platform: Platform, name: str, method: str, step: str, *arguments: Any, after: bool, **options: Any
) -> None:
    """Run a stage in a process of its own, and end it by SIGKILL at one of the registry's methods."""
    spec = platform.project.model(name).model_dump(by_alias=True, mode="json")
    where = (platform.warehouse.url, platform.registry.uri, platform.objects.root)
    ours, theirs = KILLED.Pipe()
    process = KILLED.Process(
        target=_run_until_killed,
        args=(theirs, where, json.dumps(spec), (method, after), step, arguments, options),
    )
    process.start()
    assert process.pid
    try:
        assert ours.poll(REACHED_SECONDS), f"{step} never came to {method}"
        assert ours.recv() == "there"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.join(30)
    assert process.exitcode == -signal.SIGKILL


def _run_until_killed(
    pipe: Pipe,
    where: tuple[str, str, str],
    spec: str,
    at: tuple[str, bool],
    step: str,
    arguments: tuple,
    options: dict,
) -> None:
    def wait() -> None:
        pipe.send("there")
        time.sleep(600)

    warehouse, mlflow, objects = where
    model = Model.model_validate(json.loads(spec))
    platform = Platform(
        project=load_project().model_copy(update={"models": {model.name: model}}),
        warehouse=Warehouse(warehouse),
        registry=interrupted(mlflow, at[0], wait, after=at[1]),
        objects=Objects(objects),
        connection=lambda name: (_ for _ in ()).throw(KeyError(name)),
    )
    with suppress(BrokenPipeError):
        getattr(stages, step)(platform, model.name, *arguments, **options)
        pipe.send("ended")
