"""The DAG files: light, without a database, and as the specs say; one broken spec leaves the others standing."""

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo

import pendulum
import pytest
import yaml
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DagRunInfo, TimeRestriction

from nightshift.calendar import Calendar
from nightshift.cli.trigger import declared_dags
from nightshift.errors import (
    AccessDenied,
    ChampionChanged,
    NotReady,
    RegistryRefused,
    SourceError,
    SourceRefused,
    SpecError,
    Unreachable,
    WarehouseRefused,
)
from nightshift.orchestration.lifecycle import nightly
from nightshift.orchestration.retries import RETRIES, UntilTheHour
from nightshift.orchestration.timetable import NightlyTimetable
from nightshift.root import INCLUDE
from nightshift.specs import FeatureSet, Model, Source, derived, load_project
from nightshift.specs.derived import is_of_a_spec

REPOSITORY = Path(__file__).resolve().parents[2]
DAGS, PLUGINS = REPOSITORY / "dags", REPOSITORY / "plugins"
HEAVY = ("pandas", "sklearn", "mlflow", "great_expectations", "evidently", "optuna", "nightshift.stages")
MOST_CPU_SECONDS = 1.0
PARTS = {Source: "sources", FeatureSet: "feature_sets", Model: "models"}
# The stages that have a file of their own, and of what it declares a DAG each.
STAGES = {
    stage: PARTS[kind]
    for kind, stages in derived.STAGES.items()
    for stage in stages
    if (DAGS / f"{stage}.py").exists()
}
OF_A_MODEL = derived.STAGES[Model]
# What a form waits for.
AWAITED = {
    "silence": {"subject", "owner", "silent_until", "reason"},
    "rollback": {"reason"},
    "replay_policies": {"first", "last"},
}

# What the DAG processor does: Airflow is imported, then a child a file parses it. Nobody answers on port 9, so
# a look at the metadata database while parsing is an error of that file.
PARSE = """
import json, os, sys, time
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
from airflow.plugins_manager import get_timetables_plugins
from airflow.serialization.serialized_objects import DagSerialization
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Asset, ExceptionRetryPolicy, PartitionedAssetTimetable, chain, dag, task
from airflow.timetables.trigger import CronPartitionTimetable

heavy, dags = json.loads(sys.argv[1]), Path(sys.argv[2])
imported = lambda: [name for name in heavy if name in sys.modules]

def parsed(path):
    before = time.process_time()
    bag = DagBag(str(path))
    cpu = time.process_time() - before
    back = {}
    for dag in bag.dags.values():
        again = DagSerialization.from_dict(DagSerialization.to_dict(dag))
        back[dag.dag_id] = [type(again.timetable).__name__, again.timetable.serialize()]
    return {"cpu": cpu, "dags": back, "errors": bag.import_errors, "heavy": imported()}

found = {"before": imported(), "files": {}}
for path in sorted(dags.glob("*.py")):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with os.fdopen(writing, "w") as out:
            out.write(json.dumps(parsed(path), default=str))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        found["files"][path.stem] = json.loads(told.read())
    os.waitpid(child, 0)
found["timetables"] = sorted(get_timetables_plugins())
found["after"] = imported()
print("PARSED" + json.dumps(found))
"""


def parsed(home: Path, include: Path = INCLUDE) -> dict:
    """Return what parsing every DAG file and plugin, in processes of their own, gives."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW_")},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS),
        "AIRFLOW__CORE__LAZY_LOAD_PLUGINS": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://nobody@127.0.0.1:9/none",
        "NIGHTSHIFT_INCLUDE": str(include),
    }
    environment.pop("NIGHTSHIFT_OBJECTS", None)
    command = [sys.executable, "-c", PARSE, json.dumps(HEAVY), str(DAGS)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, cwd=home, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.rpartition("PARSED")[2])


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return parsed(tmp_path_factory.mktemp("airflow"))


@pytest.fixture(scope="module")
def dags() -> dict:
    bag = DagBag(str(DAGS))
    assert not bag.import_errors
    return bag.dags


def dag_files() -> set[str]:
    return {path.stem for path in DAGS.glob("*.py")}


def test_the_folder_is_the_architecture(processed: dict) -> None:
    files = {stem: set(file["dags"]) for stem, file in processed["files"].items()}
    assert set().union(*files.values()) == declared_dags(load_project())
    assert {stem for stem, declared in files.items() if not declared} == {"broken_specs"}


def test_what_a_file_does_is_in_the_stage_of_its_name() -> None:
    stages = {path.stem for path in (INCLUDE / "nightshift" / "stages").glob("*.py")}
    without = {"broken_specs", "operations"}  # the one does nothing; the other has a stage an operation
    assert dag_files() - without - stages <= {"monitor"}


def test_every_file_parses_without_an_error_and_without_a_database(processed: dict) -> None:
    assert {stem: file["errors"] for stem, file in processed["files"].items()} == {
        stem: {} for stem in dag_files()
    }


def test_the_dags_are_those_that_the_specs_declare(processed: dict) -> None:
    project = load_project()
    for stage, part in STAGES.items():
        declared = {f"{stage}_{name}" for name in getattr(project, part)}
        assert set(processed["files"][stage]["dags"]) == declared


def test_the_form_of_a_replay_offers_what_the_source_declares(dags: dict) -> None:
    for name, source in load_project().sources.items():
        action = dags[f"replay_quarantine_{name}"].params.get_param("action")
        assert action.schema["enum"] == ["revalidate", "recollect", "discard", *source.fixes]


def test_every_source_has_its_operations(processed: dict) -> None:
    declared = set(processed["files"]["operations"]["dags"])
    for name in load_project().sources:
        assert {f"replay_quarantine_{name}", f"reconcile_{name}"} <= declared


def test_every_model_can_be_rolled_back_and_the_registry_is_reconciled_once(processed: dict) -> None:
    declared = processed["files"]["operations"]["dags"]
    rollbacks = {f"rollback_{name}" for name in load_project().models}
    assert {dag for dag in declared if dag.startswith("rollback_")} == rollbacks
    assert declared["reconcile_registry"][0] == "NightlyTimetable"


def test_a_training_has_a_card_and_asks_for_a_signature_only_where_one_is_required(dags: dict) -> None:
    for name, model in load_project().models.items():
        tasks = dags[f"train_{name}"].task_dict
        assert {"snapshot", "fit", "evaluate", "card", "promote", "conclude"} <= set(tasks)
        signing = {"ask", "sign_off", "card_signed", "again", "train_again"}
        assert signing & set(tasks) == (signing if model.approval == "required" else set())
        assert ("sign_off" in tasks["promote"].upstream_task_ids) is (model.approval == "required")


def test_alerts_are_looked_for_every_five_minutes_one_at_a_time(processed: dict, dags: dict) -> None:
    kind, kept = processed["files"]["alerts"]["dags"]["alerts"]
    assert (kind, kept["expression"]) == ("CronTriggerTimetable", "*/5 * * * *")
    assert (dags["alerts"].catchup, dags["alerts"].max_active_runs) == (False, 1)
    assert {task.pool for task in dags["alerts"].tasks} == {"alerts"}
    pools = yaml.safe_load((REPOSITORY / "airflow_settings.yaml").read_text())["airflow"]["pools"]
    assert {pool["pool_name"]: pool["pool_slot"] for pool in pools}["alerts"] == 1


def test_every_model_can_be_made_again(processed: dict, dags: dict) -> None:
    for name in load_project().models:
        assert f"reproduce_{name}" in processed["files"]["operations"]["dags"]
        form = dags[f"reproduce_{name}"].params
        assert set(form) == {"version", "reason"}, "a version is of no night"
        assert form.get_param("version").value is None


@pytest.mark.parametrize("stem", sorted(dag_files()))
def test_a_file_parses_within_a_cpu_second(processed: dict, stem: str) -> None:
    assert processed["files"][stem]["cpu"] <= MOST_CPU_SECONDS


def test_parsing_imports_no_heavy_library(processed: dict) -> None:
    assert processed["before"] == []
    assert {stem: file["heavy"] for stem, file in processed["files"].items()} == {s: [] for s in dag_files()}
    assert processed["after"] == []  # the plugins are in by now


def test_waiting_for_a_verdict_imports_no_heavy_library() -> None:
    """The triggerer never ends: what a trigger imports stays in its memory, and the first wait pays for it."""
    code = (
        "import sys, nightshift.orchestration.connections\n"
        "from nightshift.orchestration.sensors import _has_verdict\n"
        # Nobody listens there: it goes on waiting.
        "there = _has_verdict('postgresql://nobody@127.0.0.1:1/none', 'model', '2013-07-01')\n"
        "sys.exit('there is one' if there else ', '.join(sorted(set(sys.argv[1:]) & set(sys.modules))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_timetable_is_known_to_airflow_and_comes_back_from_its_database(processed: dict) -> None:
    assert "nightshift.orchestration.timetable.NightlyTimetable" in processed["timetables"]
    project = load_project()
    for name in project.sources:
        kind, kept = processed["files"]["collect"]["dags"][f"collect_{name}"]
        assert kind == "NightlyTimetable"
        assert kept["expression"] == project.settings.cron
        assert (kept["first"], kept["last"]) == (
            str(project.settings.first_night),
            str(project.settings.last_night),
        )


@pytest.mark.parametrize(
    ("file", "old", "new", "says", "lost"),
    [
        (
            "models/late_arrival.yaml",
            "gates:",
            "gate:",
            "unknown key 'gate'; did you mean 'gates'?",
            {"train_late_arrival", "score_late_arrival", "monitor_late_arrival", "retrain_late_arrival"},
        ),
        (
            "sources/aircraft.yaml",
            "owner: fleet",
            "owner: fleet\nowner: x",
            "key 'owner' is given twice",
            {"collect_aircraft"},
        ),
    ],
)
def test_one_broken_spec_leaves_the_other_dags_and_is_named_in_the_ui(
    tmp_path: Path, processed: dict, file: str, old: str, new: str, says: str, lost: set[str]
) -> None:
    include = tmp_path / "include"
    ours = shutil.ignore_patterns("__pycache__", "nightshift")
    shutil.copytree(INCLUDE, include, ignore=ours)
    text = (include / file).read_text()
    (include / file).write_text(text.replace(old, new, 1))
    broken = parsed(tmp_path, include)
    # What stands on a broken source cannot stand either; every other DAG does.
    unbuildable = set(STAGES) - {"collect"} if file.startswith("sources/") else set()
    for stem in STAGES:
        assert not broken["files"][stem]["errors"]
        if stem not in unbuildable:
            expected = set(processed["files"][stem]["dags"]) - lost
            assert set(broken["files"][stem]["dags"]) == expected
    (error,) = broken["files"]["broken_specs"]["errors"].values()
    assert f"{include / file}: " in error
    assert says in error


# Many specs: a project of 25 models, 10 sources and 5 feature sets, which the benchmark makes.


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    found = importlib.util.spec_from_file_location("parse_benchmark", REPOSITORY / "benchmarks/parse.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def many(benchmark: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return benchmark.make(tmp_path_factory.mktemp("many") / "include")


@pytest.fixture(scope="module")
def many_processed(many: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return parsed(tmp_path_factory.mktemp("airflow"), many)["files"]


def test_25_models_and_10_sources_have_all_their_dags(many: Path, many_processed: dict) -> None:
    project = load_project(many).require_sound()
    assert (len(project.models), len(project.sources)) == (25, 10)
    for stage, part in STAGES.items():
        assert set(many_processed[stage]["dags"]) == {f"{stage}_{name}" for name in getattr(project, part)}
    assert not any(file["errors"] for file in many_processed.values())


@pytest.mark.parametrize(
    ("file", "old", "new", "says", "lost"),
    [
        pytest.param(
            "models/model_07.yaml",
            "share: 0.3",
            "share: many",
            "key 'drift.share': Input should be a valid number",
            {f"{stage}_model_07" for stage in OF_A_MODEL},
            marks=pytest.mark.slow,
        ),
        (
            "sources/arrivals_3.yaml",
            "key: [flight_id]",
            "key: [flight]\nknown_at: then",
            "key 'known_at' is given twice",
            {
                "collect_arrivals_3",
                "replay_quarantine_arrivals_3",
                "reconcile_arrivals_3",
                "explore_source_arrivals_3",
                "features_set_3",
                "explore_features_set_3",
            }
            | {f"{stage}_model_{number:02}" for stage in OF_A_MODEL for number in range(3, 25, 5)},
        ),
    ],
)
def test_of_many_specs_a_broken_one_takes_only_what_stands_on_it(
    tmp_path: Path, many: Path, many_processed: dict, file: str, old: str, new: str, says: str, lost: set[str]
) -> None:
    include = tmp_path / "include"
    shutil.copytree(many, include)
    text = (include / file).read_text()
    assert old in text
    (include / file).write_text(text.replace(old, new, 1))
    broken = parsed(tmp_path, include)["files"]
    every = {dag for file in many_processed.values() for dag in file["dags"]}
    assert {dag for file in broken.values() for dag in file["dags"]} == every - lost
    (error,) = broken["broken_specs"]["errors"].values()
    assert f"{include / file}: " in error
    assert says in error


def test_the_command_knows_every_dag_that_a_spec_declares(dags: dict) -> None:
    declared = declared_dags(load_project())
    assert declared <= set(dags)
    assert not [dag_id for dag_id in dags if is_of_a_spec(dag_id) and dag_id not in declared]


def test_every_dag_has_an_owner_tags_and_a_runbook(dags: dict) -> None:
    for dag_id, dag in dags.items():
        assert dag.doc_md, dag_id
        assert "**When it fails.**" in dag.doc_md, dag_id
        assert "NAME" not in dag.doc_md, f"{dag_id}: a placeholder is left in the runbook"
        assert dag.tags, dag_id
        assert dag.description, dag_id
        assert {task.owner for task in dag.tasks} != {"airflow"}, dag_id


def test_every_task_retries_only_what_trying_again_can_cure(dags: dict) -> None:
    for dag_id, dag in dags.items():
        for task in dag.tasks:
            assert task.execution_timeout, task
            if (task.task_id, dag_id) in {("collect", f"collect_{name}") for name in load_project().sources}:
                # Every ten minutes, from half past midnight until six.
                assert isinstance(task.retry_policy, UntilTheHour), task
                assert task.retries == task.retry_policy.retries == 38
            else:
                assert task.retry_policy is RETRIES, task
                assert 0 < task.retries <= 5, task


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (SourceError, "retry"),
        (Unreachable, "retry"),
        (ChampionChanged, "retry"),
        (SourceRefused, "fail"),
        (WarehouseRefused, "fail"),
        (SpecError, "fail"),
        (NotReady, "fail"),
        (RegistryRefused, "fail"),
        (AccessDenied, "fail"),
        (OSError, "default"),
    ],
)
def test_what_may_pass_is_tried_again_and_what_will_not_is_not(error: type, action: str) -> None:
    assert RETRIES.evaluate(error("why"), 1, 3).action.value == action


def test_a_triggered_run_gets_values_of_its_form_and_nothing_more(dags: dict) -> None:
    triggers = [t for dag in dags.values() for t in dag.tasks if isinstance(t, TriggerDagRunOperator)]
    assert triggers
    for trigger in triggers:
        assert set(trigger.conf) <= set(dags[trigger.trigger_dag_id].params), trigger
        assert trigger.openlineage_inject_parent_info is False, f"{trigger}: adds the key 'openlineage'"


def test_no_dag_catches_up_or_floods(dags: dict) -> None:
    for dag_id, dag in dags.items():
        assert not dag.catchup, dag_id
        assert dag.max_active_runs <= 4, dag_id
    assert {
        dag.max_active_runs for dag_id, dag in dags.items() if dag_id.startswith(("train_", "rollback_"))
    } == {1}


def test_one_tag_lists_every_dag_of_a_model_and_of_what_it_reads(dags: dict) -> None:
    project = load_project()
    tagged: dict[str, set[str]] = {}
    for dag_id, dag in dags.items():
        for tag in dag.tags:
            tagged.setdefault(tag, set()).add(dag_id)
    for name, model in project.models.items():
        mine = {f"{stage}_{name}" for stage in OF_A_MODEL} & set(dags)
        assert tagged[f"model:{name}"] == mine
        assert mine <= tagged[f"set:{model.features}"]
        for source in {*project.feature_set(model.features).inputs, model.target.source}:
            assert mine | {f"collect_{source}", f"reconcile_{source}"} <= tagged[f"source:{source}"]
    for name in project.feature_sets:
        assert {f"features_{name}", f"explore_features_{name}"} <= tagged[f"set:{name}"]


def test_a_rollback_without_a_reason_is_no_run(dags: dict) -> None:
    """As the API server judges it: by the DAG that comes back from the database."""
    for name in load_project().models:
        stored = DagSerialization.from_dict(DagSerialization.to_dict(dags[f"rollback_{name}"]))
        for conf in ({}, {"version": 1}, {"reason": None}, {"reason": ""}, {"reason": " \n"}):
            with pytest.raises(ParamValidationError, match="reason"):
                stored.params.deep_merge(conf).validate()
        assert stored.params.deep_merge({"reason": "it is wrong"}).validate()["reason"] == "it is wrong"


def test_every_form_opens_valid_and_checks_its_dates(dags: dict) -> None:
    for dag in dags.values():
        required = {name for name, param in dag.params.items() if param.schema.get("type") == "string"}
        awaited = next((keys for stage, keys in AWAITED.items() if dag.dag_id.startswith(f"{stage}_")), set())
        assert {name for name in required if not dag.params.get_param(name).has_value} == awaited
        for name in dag.params:
            param = dag.params.get_param(name)
            if param.has_value:
                param.resolve()
            schema = param.schema
            assert schema.get("type") or schema.get("enum"), f"{dag.dag_id}.{name} is untyped"
            if schema.get("format") == "date":
                with pytest.raises(ParamValidationError):
                    param.resolve("yesterday")
                assert not param.has_value or param.value is None, (
                    f"{dag.dag_id}.{name}: a date has no default"
                )


# S3: what is typed into a form reaches neither a shell nor the text of an SQL statement.

CODE = sorted([*DAGS.rglob("*.py"), *PLUGINS.rglob("*.py"), *INCLUDE.rglob("*.py")])
CODE = [
    path for path in CODE if path.parent.name != "pages"
]  # their text is words, and they know no database
STATEMENT_CALLS = {"execute", "executemany", "rows", "row", "copy_expert", "text", "SQL", "Query", "Command"}
# Functions that hand a statement on: what they are given is checked where they are called.
HANDED_ON = {
    ("database.py", "statement"),
    ("database.py", "query.text"),  # of a Query or Command: these are checked where they are made
    ("database.py", "command.text"),
    ("database.py", "text"),
    ("partitions.py", "statement"),
    ("partitions.py", "text"),
}
# By file and name: text that is built, from names of ours and never from a value.
MARKED = {
    ("upstream.py", "name"),  # the two tables of the example, from TABLES
    ("upstream.py", "TABLES[name]"),
    ("upstream.py", "index"),
    ("sql.py", "statement"),  # bindparams() of the owner's query
    ("sql.py", "query"),  # the owner's own query in include/sources; its dates are bound
    ("sql.py", "spec.query"),
    ("partitions.py", "n"),  # SQL(f"${n}"): the number of a placeholder
    ("tables.py", "POSTGRES[kind]"),  # SQL(...): our own table of types
    ("databases.py", "statement"),
    ("demo.py", "query"),  # the statements of MUST_HOLD
    ("database.py", "n"),  # SQL(f"${n}"): the number of a placeholder
    ("names.py", "each.kind"),  # TABLE or VIEW, as our own query of pg_class spells it
    ("retype.py", "piece"),  # of CONVERSIONS, a table of constants
    ("retype.py", "action"),  # literals of its callers, in the same file
    ("retype.py", "POSTGRES[new]"),  # our own table of types
    ("retype.py", "statement"),  # composed by the functions of the same file
    ("catalog.py", "', '.join(Night.columns())"),  # the fields of row types
    ("catalog.py", "', '.join(Freshness.columns())"),
    ("monitoring.py", "', '.join(Night.columns())"),
    ("monitoring.py", "_NEWEST.format(', '.join(Performance.columns()))"),
    ("monitoring.py", "_NEWEST.format('model, batch_date, arm, model_version, scored, inputs_sha256')"),
    ("alerts.py", "', '.join(Outgoing.columns())"),
    ("retention.py", "', '.join(Found.columns())"),
    ("retention.py", "each.text"),  # the questions beside it
    ("restoring.py", "FOR_PSQL.sub('', script)"),  # a dump's schema, which its manifest vouches for
    ("alerts.py", "_newest('catalog.batches', 'source')"),  # of constants beside it
    ("alerts.py", "_said('harm')"),
    ("alerts.py", "_said('shift')"),
    ("ledger.py", "_COLUMNS"),
    ("rows.py", "text + (f' WHERE {where}' if where else '') + (f' ORDER BY {order}' if order else '')"),
    ("rows.py", "f'{text} {otherwise}'.rstrip()"),
    (
        "roles.py",
        "'; '.join(_statements(login, grants, known, schemas, owner))",
    ),  # of GRANTS and ROLES, tables of constants
    ("roles.py", "quoted"),  # the database that one is in, quoted
    ("roles.py", "', '.join(sorted(there))"),  # of ROLES
    ("signing.py", "context"),  # no statement: an operator's execute
    ("plots.py", "predicted"),  # no statement: a text of a drawing
    ("0001_the_loop.py", "STATEMENTS"),
    ("0003_lineage.py", "STATEMENTS"),
    ("0004_announcements.py", "STATEMENTS"),
}
SHELLS = re.compile(
    r"\b(BashOperator|SSHOperator|SQLExecuteQueryOperator|os\.system|os\.popen|task\.bash)\b|shell=True"
)


def built_text(path: Path) -> Iterator[str]:
    """Yield each place where a statement's text is built of something that is not a constant of its module."""
    module = ast.parse(path.read_text())
    constants = {
        target.id
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for call in (node for node in ast.walk(module) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in STATEMENT_CALLS and call.args:
            for part in variable_parts(call.args[0], constants):
                if (path.name, part) not in MARKED | HANDED_ON:
                    yield f"{path.relative_to(REPOSITORY)}:{call.lineno}: {name}({part})"


def variable_parts(node: ast.expr, constants: set[str]) -> list[str]:
    """Return the parts of a statement's text that are neither literal, nor a constant, nor composed and quoted."""
    if isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id in constants):
        return []
    if isinstance(node, ast.JoinedStr):
        return [part for value in node.values for part in variable_parts(value, constants)]
    if isinstance(node, ast.FormattedValue):
        return variable_parts(node.value, constants)
    if isinstance(node, ast.IfExp):
        return [*variable_parts(node.body, constants), *variable_parts(node.orelse, constants)]
    if isinstance(node, ast.Call) and composed(node):
        return []
    return [ast.unparse(node)]


def composed(call: ast.Call) -> bool:
    """Return whether this is psycopg2's ``sql.SQL("...").format(...)``, :func:`rendered` of one, or SQLAlchemy's."""
    return ast.unparse(call).startswith(("sql.SQL(", "rendered(", "sa.text(", "delete("))


def local_statements(path: Path) -> Iterator[str]:
    """Yield the names handed to a call that are not assigned from composed SQL in the same file."""
    module = ast.parse(path.read_text())
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(module):
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in targets:
            if isinstance(target, ast.Name):
                assigned.setdefault(target.id, []).append(node.value)
    for found in built_text(path):
        name = found.rpartition("(")[2].rstrip(")")
        values = assigned.get(name, [])
        if not values or any(variable_parts(value, set()) for value in values):
            yield found


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_sql_text_is_built_of_values(path: Path) -> None:
    assert list(local_statements(path)) == []


@pytest.mark.parametrize(
    "line",
    [
        "warehouse.rows(f\"SELECT * FROM t WHERE d = '{batch_date}'\")",
        'warehouse.execute("DELETE FROM t WHERE d = \'" + batch_date + "\'")',
        'cursor.execute("SELECT %s" % params["batch_date"])',
        'cursor.execute("SELECT {}".format(name))',
        'warehouse.row(sql.SQL(f"SELECT {name}"))',
        'query = f"SELECT {name}"\nwarehouse.rows(query)',
        "cursor.execute(statement)",
        'connection.execute(text(f"SELECT {name}"))',
    ],
)
def test_the_check_above_sees_text_that_is_built(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "REPOSITORY", tmp_path)
    path = tmp_path / "some_stage.py"
    path.write_text(line)
    assert list(local_statements(path))


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_nothing_reaches_a_shell(path: Path) -> None:
    assert not SHELLS.search(path.read_text())


@pytest.mark.parametrize("path", sorted(DAGS.glob("*.py")), ids=lambda path: path.stem)
def test_no_template_reads_what_was_typed_into_a_form(path: Path) -> None:
    templates = [
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "{{" in node.value
    ]
    assert not [text for text in templates if re.search(r"\b(params|conf|dag_run|var|conn)\b", text)]


# R13: one partition a calendar date.

DAY = timedelta(days=1)


def nights(timetable: NightlyTimetable, *, most: int = 500) -> list[DagRunInfo]:
    """Walk the schedule as the scheduler does, from before the first night."""
    since = pendulum.datetime(2012, 12, 20, tz="UTC")
    restriction = TimeRestriction(earliest=since, latest=None, catchup=True)
    found: list[DagRunInfo] = []
    while len(found) < most:
        info = timetable.next_dagrun_info_v2(
            last_dagrun_info=found[-1] if found else None, restriction=restriction
        )
        if info is None:
            return found
        found.append(info)
    return found


def every_date(first: str, last: str) -> list[str]:
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [str(start + n * DAY) for n in range((end - start).days + 1)]


@pytest.mark.parametrize("cron", ["30 0 * * *", "0 0 * * *", "30 1 * * *", "30 2 * * *"])
@pytest.mark.parametrize(
    "zone", ["America/New_York", "UTC", "Australia/Lord_Howe", "America/Havana", "America/Sao_Paulo"]
)
def test_the_schedule_is_one_partition_a_date_and_ends_with_the_last_night(zone: str, cron: str) -> None:
    timetable = NightlyTimetable(cron, timezone=zone, first="2013-01-02", last="2013-12-31")
    found = nights(timetable)
    assert [info.partition_key for info in found] == every_date("2013-01-02", "2013-12-31")
    calendar = Calendar(ZoneInfo(zone), date(2013, 1, 2), date(2013, 12, 31))
    for info in found:
        night = date.fromisoformat(str(info.partition_key))
        assert calendar.cutoff(night) <= info.run_after, "a night starts before its cut-off"
        assert calendar.date_of(info.run_after) == night


def test_a_night_never_starts_twice_when_the_clocks_change() -> None:
    found = {str(info.partition_key): info.run_after for info in nights(nightly())}
    for weekend, hours in (("2013-03-10", 23), ("2013-11-03", 25)):
        following = str(date.fromisoformat(weekend) + DAY)
        assert found[following] - found[weekend] == timedelta(hours=hours)


def test_a_backfill_walks_the_same_partitions() -> None:
    timetable = nightly()
    bounds = {
        "earliest": datetime(2013, 3, 8, tzinfo=UTC),
        "latest": datetime(2013, 11, 5, 23, 59, tzinfo=UTC),
    }
    keys = [info.partition_key for info in timetable.iter_partition_dagrun_infos(**bounds)]
    assert keys == every_date("2013-03-08", "2013-11-05")


def test_a_finished_project_schedules_nothing_today() -> None:
    today = TimeRestriction(earliest=None, latest=None, catchup=False)
    assert nightly().next_dagrun_info_v2(last_dagrun_info=None, restriction=today) is None


def test_a_project_without_a_last_night_goes_on() -> None:
    timetable = NightlyTimetable("30 0 * * *", timezone="UTC", first="2013-01-02", last=None)
    assert len(nights(timetable, most=800)) == 800


def test_the_schedule_comes_back_from_what_is_kept_of_it() -> None:
    timetable = nightly()
    again = NightlyTimetable.deserialize(json.loads(json.dumps(timetable.serialize())))
    assert again.serialize() == timetable.serialize()
    assert [info.partition_key for info in nights(again)] == [
        info.partition_key for info in nights(timetable)
    ]


def test_stages_are_not_each_others_library() -> None:
    """What several stages need stands below them, in ``platform``."""
    own = [
        line
        for path in sorted((INCLUDE / "nightshift" / "stages").glob("*.py"))
        if path.name != "__init__.py"
        for line in path.read_text().splitlines()
        if line.startswith(("from nightshift.stages", "import nightshift.stages"))
    ]
    assert len(own) <= 20, own
