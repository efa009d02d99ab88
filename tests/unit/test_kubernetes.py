"""What a cluster is given says what docker-compose.yaml says. Each rule is shown able to fail: a spoilt copy breaks it.

The chart itself is not in this repository: what it makes of the values is looked at by deploy/kubernetes/check.py, and
docs/kubernetes.md says of which chart that was done. Here the same rules read the values as the chart hands them on.
"""

import copy
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from nightshift.hosts import is_own, listed

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/kubernetes"
VALUES = yaml.safe_load((FOLDER / "values.yaml").read_text())
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SCHEMA = json.loads((ROOT / "tests/kubernetes-1.34.json").read_text())
CHECK = runpy.run_path(str(FOLDER / "check.py"))
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
OWN = [
    manifest
    for name in KUSTOMIZATION["resources"]
    for manifest in yaml.safe_load_all((FOLDER / name).read_text())
]

Manifest = dict[str, Any]
# Of compose's services, those that are the chart's: their key in the values, and their component there.
SERVICES = {
    "airflow-init": ("migrateDatabaseJob", "run-airflow-migrations"),
    "airflow-apiserver": ("apiServer", "api-server"),
    "airflow-scheduler": ("scheduler", "scheduler"),
    "airflow-dag-processor": ("dagProcessor", "dag-processor"),
    "airflow-triggerer": ("triggerer", "triggerer"),
    "airflow-worker": ("kubernetes", "worker"),
}
# Of what compose tells all of Airflow, what is otherwise here, and why.
OTHERWISE = {
    "AIRFLOW__CORE__EXECUTOR": "the chart's `executor`",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "the chart's service",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": "nothing queues through Celery",
    "NIGHTSHIFT_OBJECTS": "no setting of Airflow's",
}


def section(values: Manifest, key: str) -> Manifest:
    return values["workers"]["kubernetes"] if key == "kubernetes" else values[key]  # type: ignore[no-any-return]


def as_manifests(values: Manifest) -> list[Manifest]:
    """The values as the chart hands them on: a pod a component, and whether it has a token of the cluster."""
    made = []
    for key, component in SERVICES.values():
        part = section(values, key)
        container = {
            "name": component,
            "image": f"{values['defaultAirflowRepository']}:{values['defaultAirflowTag']}",
            "securityContext": values["securityContexts"]["containers"],
            "env": values["env"] + part["env"],
            "resources": part.get("resources"),
            "livenessProbe": part.get("livenessProbe"),
        }
        waiting = [one | {"image": container["image"]} for one in part.get("extraInitContainers", [])]
        spec = {
            "securityContext": values["securityContexts"]["pod"],
            "initContainers": waiting,
            "containers": [container],
            "serviceAccountName": component,
        }
        kind = "Job" if key in ("migrateDatabaseJob", "kubernetes") else "Deployment"
        labels = {"metadata": {"labels": {"component": component}}}
        made.append({"kind": kind, "spec": {"template": labels | {"spec": spec}}})
        token = part.get("serviceAccount", {}).get("automountServiceAccountToken")
        made.append(
            {"kind": "ServiceAccount", "metadata": {"name": component}, "automountServiceAccountToken": token}
        )
    return made


def at(node: Any, *path: str | int) -> Any:
    for step in path:
        node = node[step]
    return node


def put(*path: str | int, value: object) -> Callable[[Any], None]:
    def spoil(node: Any) -> None:
        at(node, *path[:-1])[path[-1]] = value

    return spoil


def lose(*path: str | int) -> Callable[[Any], None]:
    return lambda node: at(node, *path[:-1]).pop(path[-1])


DATABASE = {
    "name": "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "valueFrom": {"secretKeyRef": {"name": "nightshift-airflow", "key": "connection"}},
}
SPOILT_VALUES: list[tuple[str, Callable[[Any], object]]] = [
    ("nobody_is_root", put("securityContexts", "pod", "runAsUser", value=0)),
    ("nobody_is_root", lose("securityContexts", "pod", "runAsNonRoot")),
    ("nobody_gains_privileges", put("securityContexts", "containers", "readOnlyRootFilesystem", value=False)),
    ("nobody_gains_privileges", lose("apiServer", "extraInitContainers", 0, "securityContext")),
    ("nobody_takes_all_memory", lose("workers", "kubernetes", "resources", "limits")),
    ("what_runs_long_is_watched", lose("triggerer", "livenessProbe")),
    (
        "secrets_are_references",
        lambda v: v["env"].append({"name": "AIRFLOW__API_AUTH__JWT_SECRET", "value": "4f1c09ad77e25b38"}),
    ),
    (
        "secrets_are_references",
        lambda v: v["workers"]["kubernetes"]["env"].append({"name": "BROKER", "value": "redis://:x@redis"}),
    ),
    ("each_is_told_what_it_needs", lambda v: v["workers"]["kubernetes"]["env"].append(DATABASE)),
    (
        "each_is_told_what_it_needs",
        lambda v: v["scheduler"]["env"].append(v["workers"]["kubernetes"]["env"][0]),
    ),
    ("only_the_scheduler_asks_the_cluster", lose("workers", "kubernetes", "serviceAccount")),
    ("images_are_pinned", put("defaultAirflowTag", value="latest")),
]
SPOILT_OWN: list[tuple[str, Callable[[Any], object]]] = [
    ("nobody_is_root", lambda own: lose("spec", "template", "spec", "securityContext")(mlflow(own))),
    (
        "nobody_gains_privileges",
        lambda own: mlflow(own)["spec"]["template"]["spec"]["volumes"].append(
            {"name": "h", "hostPath": {"path": "/"}}
        ),
    ),
    ("what_runs_long_is_watched", lambda own: container(own).pop("livenessProbe")),
    ("nobody_takes_all_memory", lambda own: container(own).pop("resources")),
    ("secrets_are_references", lambda own: container(own)["env"][0].update(value="postgresql://a:b@c/d")),
    ("secrets_are_references", lambda own: own.append({"kind": "Secret", "metadata": {"name": "x"}})),
    ("each_is_told_what_it_needs", lambda own: container(own)["env"].append(DATABASE)),
    (
        "only_the_scheduler_asks_the_cluster",
        lambda own: mlflow(own)["spec"]["template"]["spec"].pop("automountServiceAccountToken"),
    ),
    ("images_are_pinned", lambda own: container(own).update(image="nightshift")),
    ("only_the_ui_is_published", lambda own: kind(own, "Service")["spec"].update(type="LoadBalancer")),
]


def kind(manifests: list[Manifest], name: str) -> Manifest:
    return next(manifest for manifest in manifests if manifest["kind"] == name)


def mlflow(manifests: list[Manifest]) -> Manifest:
    return kind(manifests, "Deployment")


def container(manifests: list[Manifest]) -> Manifest:
    return mlflow(manifests)["spec"]["template"]["spec"]["containers"][0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("rule", CHECK["RULES"], ids=lambda rule: rule.__name__)
def test_values_and_manifests_keep_the_rule(rule: Callable[[list[Manifest]], list[str]]) -> None:
    assert rule(as_manifests(VALUES)) == []
    assert rule(OWN) == []


@pytest.mark.parametrize(("rule", "spoil"), SPOILT_VALUES)
def test_spoilt_values_break_the_rule(rule: str, spoil: Callable[[Any], object]) -> None:
    spoilt = copy.deepcopy(VALUES)
    spoil(spoilt)
    assert CHECK[rule](as_manifests(spoilt)) != []


@pytest.mark.parametrize(("rule", "spoil"), SPOILT_OWN)
def test_spoilt_manifests_break_the_rule(rule: str, spoil: Callable[[Any], object]) -> None:
    spoilt = copy.deepcopy(OWN)
    spoil(spoilt)
    assert CHECK[rule](spoilt) != []


def test_every_rule_is_shown_able_to_fail() -> None:
    assert {rule for rule, _ in SPOILT_VALUES + SPOILT_OWN} == {rule.__name__ for rule in CHECK["RULES"]}


def looked_through(manifests: list[Manifest]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, FOLDER / "check.py"],
        input=yaml.safe_dump_all(manifests),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_rendering_is_looked_through_with_the_pod_of_tasks() -> None:
    """The chart hands that one on as text, in Airflow's configuration."""
    *others, job, account = as_manifests(VALUES)
    pod = job["spec"]["template"] | {"kind": "Pod"}
    rendered = [
        *others,
        account,
        {"kind": "ConfigMap", "data": {"pod_template_file.yaml": yaml.safe_dump(pod)}},
    ]
    assert looked_through(rendered).stdout == "6 kinds of pods keep the 9 rules\n"
    pod["spec"]["containers"][0]["env"].append(DATABASE)
    spoilt = [
        *others,
        account,
        {"kind": "ConfigMap", "data": {"pod_template_file.yaml": yaml.safe_dump(pod)}},
    ]
    told = looked_through(spoilt)
    assert (told.returncode, told.stdout) == (1, "worker is told AIRFLOW__DATABASE__SQL_ALCHEMY_CONN\n")


def test_an_empty_rendering_is_a_fault() -> None:
    assert looked_through([]).returncode == 1


def faults(manifest: Manifest) -> list[str]:
    schema = SCHEMA | {"$ref": f"#/definitions/{manifest['kind']}"}
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(manifest)]


def test_manifests_are_what_the_cluster_knows() -> None:
    assert {manifest["kind"] for manifest in OWN} == {
        "Namespace",
        "PersistentVolumeClaim",
        "Deployment",
        "Service",
        "NetworkPolicy",
    }
    assert {(manifest["kind"], fault) for manifest in OWN for fault in faults(manifest)} == set()


@pytest.mark.parametrize(
    "spoil",
    [
        put("spec", "replica", value=1),
        put("spec", "replicas", value="one"),
        put("apiVersion", value="apps/v1beta1"),
        lose("spec", "selector"),
        put("spec", "template", "spec", "containers", 0, "livenessProbe", "httpGet", "header", value=[]),
    ],
)
def test_what_the_cluster_would_refuse_is_refused(spoil: Callable[[Any], object]) -> None:
    spoilt = copy.deepcopy(mlflow(OWN))
    spoil(spoilt)
    assert faults(spoilt) != []


def test_all_services_of_compose_are_here() -> None:
    assert set(COMPOSE["services"]) == {*SERVICES, "mlflow", "postgres", "redis"}
    # PostgreSQL is the operator's own, and there is no queue.
    assert [VALUES[part]["enabled"] for part in ("postgresql", "redis")] == [False, False]
    assert mlflow(OWN)["metadata"]["name"] == "mlflow"


def test_all_manifests_are_applied() -> None:
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"values.yaml", "kustomization.yaml"}
    assert files == set(KUSTOMIZATION["resources"])


# Of a variable with a default, that one.
ALL = {
    name: re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", value)
    for name, value in COMPOSE["x-airflow-environment"].items()
}


@pytest.mark.parametrize("name", [name for name in ALL if name not in OTHERWISE])
def test_airflow_is_told_what_compose_tells_it(name: str) -> None:
    _, part, key = name.lower().split("__")
    assert str(VALUES["config"][part][key]) == ALL[name]


def test_what_is_otherwise_than_in_compose_is_still_there() -> None:
    assert set(OTHERWISE) <= set(ALL)
    assert VALUES["executor"] == "KubernetesExecutor"
    assert {"name": "NIGHTSHIFT_OBJECTS", "value": "/objects"} in VALUES["env"]


def own_variables(service: str) -> set[str]:
    """What compose tells this service and not all of Airflow, without what only its queue and its disk need."""
    told = set(COMPOSE["services"][service]["environment"]) - set(COMPOSE["x-airflow-environment"])
    return {name for name in told if "CELERY" not in name} - {"TMPDIR", "NIGHTSHIFT_ALLOWED_HOSTS"}


@pytest.mark.parametrize("service", SERVICES)
def test_each_component_is_told_what_compose_tells_it(service: str) -> None:
    told = {entry["name"] for entry in section(VALUES, SERVICES[service][0])["env"]}
    assert told == own_variables(service)


def test_mlflow_is_told_what_compose_tells_it() -> None:
    ours = {entry["name"]: entry.get("value") for entry in container(OWN)["env"]}
    theirs = COMPOSE["services"]["mlflow"]["environment"]
    assert set(ours) == set(theirs)
    assert {name: value for name, value in ours.items() if value} == {
        name: value for name, value in theirs.items() if "${" not in value
    }


def test_the_chart_tells_no_pod_a_secret_by_itself() -> None:
    assert set(VALUES["enableBuiltInSecretEnvVars"].values()) == {False}
    # A name that is missing here is one that the chart draws a secret for, anew at each upgrade.
    names = {VALUES["fernetKeySecretName"], VALUES["apiSecretKeySecretName"], VALUES["jwtSecretName"]}
    assert names | set(VALUES["data"].values()) == {"nightshift-airflow"}
    assert VALUES["createUserJob"]["enabled"] is False


def test_every_variable_is_one_that_something_reads() -> None:
    known = set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", DOCKERFILE))
    known |= {name for service in COMPOSE["services"].values() for name in service.get("environment", {})}
    extra = yaml.safe_load(VALUES["extraEnv"])
    used = {name for manifest in CHECK["pods"](as_manifests(VALUES)) for name in manifest.told()}
    # Known to the next line of the same list.
    assert used | {entry["name"] for entry in extra} - {"POD_IP"} <= known


def test_versions_are_those_of_the_rest() -> None:
    repository, version = COMPOSE["x-nightshift"]["image"].split(":")
    image = f"{repository}:{version}-kubernetes"
    assert f"{VALUES['defaultAirflowRepository']}:{VALUES['defaultAirflowTag']}" == image
    assert container(OWN)["image"] == image
    lock = (ROOT / "requirements/runtime.lock").read_text()
    assert f"\napache-airflow=={VALUES['airflowVersion']} " in lock
    user = int(COMPOSE["x-nightshift"]["user"].split(":")[0])
    assert VALUES["uid"] == VALUES["gid"] == VALUES["securityContexts"]["pod"]["runAsUser"] == user
    chart = re.search(r"--version (\S+)", (FOLDER / "values.yaml").read_text())
    assert chart
    assert set(re.findall(r"--version (\S+)", (ROOT / "docs/kubernetes.md").read_text())) == {chart[1]}


def test_the_image_has_the_executor_and_nothing_twice() -> None:
    assert "FROM nightshift AS kubernetes\n" in DOCKERFILE
    assert "--no-deps" in re.findall(r"uv pip install .* kubernetes\.lock", DOCKERFILE)[0]

    def pinned(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text()
        return set(re.findall(r"^([a-z0-9.-]+)==", text, re.MULTILINE))

    added = pinned("kubernetes.lock")
    assert {"apache-airflow-providers-cncf-kubernetes", "kubernetes", "kubernetes-asyncio"} <= added
    assert not added & pinned("runtime.lock")


def test_probes_ask_for_names_that_are_answered() -> None:
    extra = {entry["name"]: entry for entry in yaml.safe_load(VALUES["extraEnv"])}
    for address, host in (("10.1.2.3", b"10.1.2.3:8080"), ("fd00::1", b"[fd00::1]:8080")):
        names = listed(extra["NIGHTSHIFT_ALLOWED_HOSTS"]["value"].replace("$(POD_IP)", address))
        assert is_own([(b"host", host)], names)
        assert not is_own([(b"host", b"evil.example:8080")], names)
    env = {entry["name"]: entry.get("value") for entry in container(OWN)["env"]}
    service = f"mlflow:{kind(OWN, 'Service')['spec']['ports'][0]['port']}"
    probes = [container(OWN)[f"{name}Probe"] for name in ("startup", "liveness", "readiness")]
    asked = {header["value"] for probe in probes for header in probe["httpGet"]["httpHeaders"]}
    assert asked | {service} == set(env["MLFLOW_SERVER_ALLOWED_HOSTS"].split(","))


def test_what_probes_call_is_in_the_image() -> None:
    for probe in (VALUES["scheduler"]["startupProbe"], VALUES["scheduler"]["livenessProbe"]):
        script = Path(probe["command"][1])
        assert (ROOT / script.relative_to("/nightshift")).is_file()
    # The chart's own call a script of Airflow's image.
    assert VALUES["dagProcessor"]["livenessProbe"]["command"][0] == "airflow"
    assert VALUES["triggerer"]["livenessProbe"]["command"][0] == "airflow"


def test_migrations_come_before_an_upgrade() -> None:
    job = VALUES["migrateDatabaseJob"]
    assert job["args"] == COMPOSE["services"]["airflow-init"]["command"]
    assert job["useHelmHooks"] is False
    assert job["jobAnnotations"]["helm.sh/hook"] == "post-install,pre-upgrade"
    for part in ("apiServer", "scheduler", "dagProcessor", "triggerer"):
        assert VALUES[part]["waitForMigrations"] == {"enabled": False}
        assert "check-migrations" in VALUES[part]["extraInitContainers"][0]["args"]


def test_commands_are_those_of_compose() -> None:
    for service, (key, _) in SERVICES.items():
        if key != "kubernetes":  # the executor's own
            assert VALUES[key]["args"] == COMPOSE["services"][service]["command"]


def policies() -> dict[str, Manifest]:
    return {m["metadata"]["name"]: m["spec"] for m in OWN if m["kind"] == "NetworkPolicy"}


def test_only_tasks_have_a_way_out() -> None:
    anywhere = {
        name
        for name, policy in policies().items()
        for rule in policy.get("egress", [])
        if any("ipBlock" in peer for peer in rule.get("to", [])) or not ({"to", "ports"} & set(rule))
    }
    assert anywhere == {"tasks"}
    assert policies()["tasks"]["podSelector"] == {"matchLabels": {"component": "worker"}}
    assert policies()["nobody"]["podSelector"] == {}
    assert policies()["nobody"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policies()["nobody"]


def test_the_only_doors_are_the_api_servers_and_mlflows() -> None:
    assert {name for name, policy in policies().items() if "ingress" in policy} == {"api-server", "mlflow"}
    peers = [peer for rule in policies()["mlflow"]["ingress"] for peer in rule["from"]]
    assert peers == [
        {
            "podSelector": {
                "matchExpressions": [
                    {"key": "component", "operator": "In", "values": ["worker", "api-server"]}
                ]
            }
        }
    ]
    assert kind(OWN, "Namespace")["metadata"]["labels"] == {
        "pod-security.kubernetes.io/enforce": "restricted"
    }


EMPTY = re.findall(
    r"^([A-Z_]+(?:_PASSWORD|_SECRET|_KEY))=$", (ROOT / ".env.example").read_text(), re.MULTILINE
)
ENV = {
    **dict.fromkeys(EMPTY, "4f1c09ad77e25b3860d1"),
    "AIRFLOW_ADMIN_USER": "admin",
    "AIRFLOW_ADMIN_EMAIL": "admin@localhost",
    "OPS_CONNECTION": '{"conn_type": "postgres", "password": "it\'s: #1"}',
    "AIRCRAFT_API_CONNECTION": "http://register.internal:8090/http",
}


def secrets_of(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", FOLDER / "secrets.sh", *arguments],
        input="".join(f"{name}={value}\n" for name, value in env.items()),
        capture_output=True,
        text=True,
        check=False,
    )


def references() -> set[tuple[str, str]]:
    told = [entry for pod in CHECK["pods"]([*as_manifests(VALUES), *OWN]) for entry in pod.told().values()]
    found = [entry["valueFrom"]["secretKeyRef"] for entry in told if "valueFrom" in entry]
    return {(reference["name"], reference["key"]) for reference in found}


def test_secrets_are_made_for_each_reference_and_no_other() -> None:
    made = secrets_of(ENV, "pg.internal:5432?sslmode=require")
    assert made.returncode == 0, made.stderr
    secrets = {m["metadata"]["name"]: m["stringData"] for m in yaml.safe_load_all(made.stdout)}
    assert [fault for m in yaml.safe_load_all(made.stdout) for fault in faults(m)] == []
    assert {(name, key) for name, data in secrets.items() for key in data} == references()
    assert secrets["nightshift-connections"]["AIRFLOW_CONN_OPS"] == ENV["OPS_CONNECTION"]
    password = ENV["AIRFLOW_DB_PASSWORD"]
    assert secrets["nightshift-airflow"]["connection"] == (
        f"postgresql+psycopg2://airflow:{password}@pg.internal:5432/airflow?sslmode=require"
    )


def test_what_compose_makes_of_env_is_what_the_secrets_hold() -> None:
    secrets = {
        key: value
        for m in yaml.safe_load_all(secrets_of(ENV, "postgres:5432").stdout)
        for key, value in m["stringData"].items()
    }
    compared = 0
    for service in (*SERVICES, "mlflow"):
        for name, value in COMPOSE["services"][service]["environment"].items():
            if name in secrets:
                compared += 1
                said = re.sub(r"\$\{([A-Z_]+)[^}]*\}", lambda match: ENV[match[1]], value)
                assert secrets[name] == said, name
    assert compared > 20


@pytest.mark.parametrize("name", sorted(name for name in ENV if not re.match("POSTGRES|CELERY|REDIS", name)))
def test_no_secret_is_made_of_an_empty_value(name: str) -> None:
    refused = secrets_of(ENV | {name: ""}, "pg.internal:5432")
    assert refused.returncode == 78
    assert name in refused.stderr


def test_secrets_need_a_server() -> None:
    refused = secrets_of(ENV)
    assert refused.returncode != 0
    assert "usage" in refused.stderr


def test_the_pages_values_add_to_ours() -> None:
    """Helm replaces lists as a whole, so the page repeats ours."""
    page = (ROOT / "docs/kubernetes.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    repeated = [(name, block[name]) for block in blocks for name in block if isinstance(block[name], list)]
    assert {name for name, _ in repeated} == {"volumes", "volumeMounts", "env"}
    for name, entries in repeated:
        assert entries[: len(VALUES[name])] == VALUES[name]
