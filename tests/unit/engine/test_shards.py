"""Blocks as files, worked on by whoever opens the plan: the same bits and receipts as here, or a refusal by name."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from nights import Night

from nightshift.engine import shards
from nightshift.engine.here import run
from nightshift.engine.receipts import read
from nightshift.errors import ArtifactRefused

OTHER_PROCESS = """
import sys
from pathlib import Path
from nightshift.engine import shards
plan = shards.opened(Path(sys.argv[1]))
for number in reversed(range(len(plan.shards))):
    print(shards.RECEIPT.dump_json(shards.worked(plan, number)).decode())
"""


@pytest.fixture
def plan(night: Night, tmp_path: Path) -> Path:
    return shards.planned(night.job, shards.spread(iter(night.blocks), tmp_path), tmp_path)


def test_another_process_comes_to_the_same_receipts_from_the_plan_alone(
    night: Night,
    plan: Path,
) -> None:
    lines = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, plan], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.splitlines()
    there = [shards.RECEIPT.validate_json(line) for line in reversed(lines)]
    files = {each.file: each.file.stat().st_mtime_ns for each in there}
    assert run(night.job, iter(night.blocks), plan.parent) == there
    # Filed again under the same names, whole.
    assert all(file.stat().st_mtime_ns > written for file, written in files.items())
    assert read(there).equals(read(run(night.job, iter(night.blocks), plan.parent)))


@pytest.mark.parametrize("fact", ["the engine's code", "requirements/runtime.lock", "numpy"])
def test_a_worker_that_is_another_engine_refuses_by_name(night: Night, plan: Path, fact: str) -> None:
    read = shards.PLAN.validate_json(plan.read_bytes())
    assert read.job == night.job
    changed = replace(read, made_by=read.made_by | {fact: "another"})
    with pytest.raises(ArtifactRefused, match=f"refuses: {fact} is [0-9a-f.]+ here, another where the plan"):
        shards.require_same_engine(changed.made_by)
    assert json.loads(plan.read_bytes())["made_by"] == shards.this_engine()


@pytest.mark.parametrize("what", ["plan", "shard", "skops"])
def test_a_file_that_is_not_what_was_written_is_refused(plan: Path, what: str, night: Night) -> None:
    if what == "skops":
        other = plan.parent / "model.skops"
        other.write_bytes(night.job.stored.file.read_bytes()[:-1] + b"x")
        made = shards.PLAN.validate_json(plan.read_bytes())
        job = replace(made.job, stored=replace(made.job.stored, file=other))
        plan = shards.planned(job, made.shards, plan.parent)
    else:
        file = plan if what == "plan" else shards.PLAN.validate_json(plan.read_bytes()).shards[0].file
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    with pytest.raises(ArtifactRefused, match="it is not what was stored"):
        shards.worked(shards.opened(plan), 0)
