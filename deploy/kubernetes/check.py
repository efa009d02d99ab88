"""Look through rendered manifests: helm template ... | check.py

Exit code 1, with a line for each fault. The rules are those that tests hold docker-compose.yaml to, for a values
file of your own on top of ours keeps nothing of them by itself.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import yaml

Manifest = dict[str, Any]


class Pod(NamedTuple):
    """One kind of pod: its component, its spec, and whether it ends by itself."""

    component: str
    spec: dict[str, Any]
    ends: bool

    def containers(self) -> Iterator[dict[str, Any]]:
        """All of them, those that run first included."""
        yield from self.spec.get("initContainers") or []
        yield from self.spec["containers"]

    def told(self) -> dict[str, dict[str, Any]]:
        """The variables of all containers by name."""
        return {entry["name"]: entry for one in self.containers() for entry in one.get("env") or []}


def pods(manifests: Iterable[Manifest]) -> list[Pod]:
    """Return every kind of pod, that of tasks out of the chart's configuration included."""
    found = []
    for manifest in manifests:
        inner = (manifest.get("data") or {}).get("pod_template_file.yaml")
        made = yaml.safe_load(inner) if inner else manifest
        template = (made.get("spec") or {}).get("template", made)
        if "containers" in (template.get("spec") or {}):
            labels = template["metadata"]["labels"]
            ends = made["kind"] in ("Job", "Pod")
            found.append(Pod(labels.get("component") or labels["app"], template["spec"], ends))
    return found


def nobody_is_root(manifests: list[Manifest]) -> list[str]:
    """Each pod says so, with a user of its own."""
    return [
        f"{pod.component} may run as root"
        for pod in pods(manifests)
        for context in [pod.spec.get("securityContext") or {}]
        if not (context.get("runAsNonRoot") and context.get("runAsUser"))
    ]


def nobody_gains_privileges(manifests: list[Manifest]) -> list[str]:
    """What the pod security standard `restricted` asks, and a root file system that nobody writes to."""
    wanted = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    faults = [
        f"{pod.component}: {container['name']} does not say {key}: {value}"
        for pod in pods(manifests)
        for container in pod.containers()
        for key, value in wanted.items()
        if (container.get("securityContext") or {}).get(key) != value
    ]
    for pod in pods(manifests):
        if (pod.spec.get("securityContext") or {}).get("seccompProfile") != {"type": "RuntimeDefault"}:
            faults.append(f"{pod.component} has no seccomp profile")
        faults += [
            f"{pod.component}: {key}" for key in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(key)
        ]
        faults += [
            f"{pod.component} mounts the host" for v in pod.spec.get("volumes") or [] if "hostPath" in v
        ]
    return faults


def nobody_takes_all_memory(manifests: list[Manifest]) -> list[str]:
    """Each container asks for what it needs, and ends before it takes all memory."""
    return [
        f"{pod.component}: {container['name']} has no {kind} of {what}"
        for pod in pods(manifests)
        for container in pod.containers()
        for kind, what in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory"))
        if what not in ((container.get("resources") or {}).get(kind) or {})
    ]


def what_runs_long_is_watched(manifests: list[Manifest]) -> list[str]:
    """Each container that is to run for ever is asked whether it lives."""
    return [
        f"{pod.component}: {container['name']} has no livenessProbe"
        for pod in pods(manifests)
        for container in pod.spec["containers"]
        if not pod.ends and not container.get("livenessProbe")
    ]


def secrets_are_references(manifests: list[Manifest]) -> list[str]:
    """No secret is written down, and none is drawn that nobody knows of."""
    faults = [f"Secret {m['metadata']['name']} is rendered" for m in manifests if m["kind"] == "Secret"]
    secret = re.compile(
        r"_(PASSWORD|SECRET|SECRET_KEY|FERNET_KEY|TOKEN)$|^AIRFLOW_CONN_.*|SQL_ALCHEMY_CONN$|_STORE_URI$"
    )
    return faults + [
        f"{pod.component}: {name} is written down"
        for pod in pods(manifests)
        for name, entry in pod.told().items()
        if "value" in entry and (secret.search(name) or re.search(r"://[^/@]*:[^/@]*@", entry["value"]))
        # A folder is no secret.
        if '"conn_type": "fs"' not in entry["value"]
    ]


AIRFLOW = {"run-airflow-migrations", "api-server", "scheduler", "dag-processor", "triggerer"}
TOLD = {
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": AIRFLOW,
    "AIRFLOW__CORE__FERNET_KEY": AIRFLOW,
    "AIRFLOW__API_AUTH__JWT_SECRET": {"api-server", "scheduler"},
    "AIRFLOW__API__SECRET_KEY": {"api-server"},
    "NIGHTSHIFT_WAREHOUSE_URL": {"run-airflow-migrations"},
    "AIRFLOW_ADMIN_PASSWORD": {"run-airflow-migrations"},
    "AIRFLOW_CONN_WAREHOUSE_READER": {"api-server"},
    "MLFLOW_BACKEND_STORE_URI": {"mlflow"},
}


def each_is_told_what_it_needs(manifests: list[Manifest]) -> list[str]:
    """What opens a database or signs, to whom it is for; connections, to those that run tasks, triggers or pages."""
    return [
        f"{pod.component} is told {name}"
        for pod in pods(manifests)
        for name in sorted(pod.told())
        if pod.component not in TOLD.get(name, {pod.component})
        or (name.startswith("AIRFLOW_CONN_") and pod.component not in ("worker", "api-server", "triggerer"))
    ]


def only_the_scheduler_asks_the_cluster(manifests: list[Manifest]) -> list[str]:
    """It makes pods; no other has a token for that."""
    without = {
        m["metadata"]["name"]
        for m in manifests
        if m["kind"] == "ServiceAccount" and m.get("automountServiceAccountToken") is False
    }
    return [
        f"{pod.component} has a token of the cluster"
        for pod in pods(manifests)
        if pod.component != "scheduler"
        and pod.spec.get("automountServiceAccountToken") is not False
        and pod.spec.get("serviceAccountName") not in without
    ]


def images_are_pinned(manifests: list[Manifest]) -> list[str]:
    """Each by its version."""
    images = {container["image"] for pod in pods(manifests) for container in pod.containers()}
    return [
        f"{image} is not pinned"
        for image in sorted(images)
        if not re.search(r":v?\d+\.\d+[\w.-]*$|@sha256:", image)
    ]


def only_the_ui_is_published(manifests: list[Manifest]) -> list[str]:
    """A service is for the cluster; what comes from outside reaches the API server by an Ingress."""
    faults = [
        f"Service {m['metadata']['name']} is published"
        for m in manifests
        if m["kind"] == "Service" and m["spec"].get("type", "ClusterIP") != "ClusterIP"
    ]
    return faults + [
        f"Ingress {m['metadata']['name']} leads to {path['backend']['service']['name']}"
        for m in manifests
        if m["kind"] == "Ingress"
        for rule in m["spec"]["rules"]
        for path in rule["http"]["paths"]
        if not path["backend"]["service"]["name"].endswith("api-server")
    ]


RULES: tuple[Callable[[list[Manifest]], list[str]], ...] = (
    nobody_is_root,
    nobody_gains_privileges,
    nobody_takes_all_memory,
    what_runs_long_is_watched,
    secrets_are_references,
    each_is_told_what_it_needs,
    only_the_scheduler_asks_the_cluster,
    images_are_pinned,
    only_the_ui_is_published,
)


def main() -> int:
    """Return the exit code; print what is wrong."""
    manifests = [manifest for manifest in yaml.safe_load_all(sys.stdin) if manifest]
    faults = [fault for rule in RULES for fault in rule(manifests)]
    print("\n".join(faults) or f"{len(pods(manifests))} kinds of pods keep the {len(RULES)} rules")
    return 1 if faults or not pods(manifests) else 0


if __name__ == "__main__":
    sys.exit(main())
