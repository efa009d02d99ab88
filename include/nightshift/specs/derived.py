"""What is named after specs: DAGs, and tables, views and indexes of the warehouse. No two may have one name."""

from collections.abc import Iterable, Iterator

from nightshift.errors import SpecError
from nightshift.specs.features import FeatureSet
from nightshift.specs.model import Model
from nightshift.specs.source import Source

# The DAGs of one spec are `<stage>_<name>`; these are the stages of a source, a feature set, a model.
STAGES: dict[type, tuple[str, ...]] = {
    Source: ("collect", "replay_quarantine", "reconcile", "explore_source"),
    FeatureSet: ("features", "explore_features"),
    Model: ("train", "score", "monitor", "retrain", "rollback", "reproduce", "predict", "replay_policies"),
}
OF_THE_PROJECT = ("catalog", "reconcile_registry", "alerts", "silence_alert", "retention")
# The warehouse's login for the tasks of each stage, and one that reads, for people and pages.
ROLES: dict[str, tuple[str, ...]] = {
    "collect": ("collect",),
    "features": ("features",),
    "score": ("score", "predict"),
    "train": ("train", "reproduce", "replay_policies"),
    "monitor": ("monitor", "retrain"),
    "operate": ("replay_quarantine", "reconcile", "rollback", "reconcile_registry", "retention"),
    "describe": ("explore_source", "explore_features", "catalog"),
    "alerts": ("alerts", "silence_alert"),
    "reader": (),
}
# The view of a model's predictions that consumers read.
CHAMPION = "_champion"
# The schema of predictions that somebody asked for, a table a model.
ADHOC = "adhoc"
# PostgreSQL names a table's index so, in the schema's one list of names.
INDEX = "_pkey"
Named = Source | FeatureSet | Model


def dag_id(stage: str, spec: Named) -> str:
    """Return the id of the DAG of one stage of one spec.

    Raises:
        SpecError: STAGES knows no such stage, so nothing would keep another spec's DAG from the same id.
    """
    if stage not in STAGES[type(spec)]:
        raise SpecError(f"stage '{stage}' is in no list of nightshift.specs.derived.STAGES; add it there")
    return f"{stage}_{spec.name}"


def is_of_a_spec(dag_id: str) -> bool:
    """Return whether a DAG of this id follows from a spec, if there is one."""
    return dag_id.startswith(tuple(f"{stage}_" for stages in STAGES.values() for stage in stages))


def stage_of(dag: str) -> tuple[str, str]:
    """Return the stage of a DAG by its id, and the name of the spec it is of; of the project's: its id, ``project``.

    Raises:
        SpecError: it is of no stage that STAGES knows.
    """
    if dag in OF_THE_PROJECT:
        return dag, "project"
    for stage in (stage for stages in STAGES.values() for stage in stages):
        if dag.startswith(f"{stage}_"):
            return stage, dag.removeprefix(f"{stage}_")
    raise SpecError(f"DAG '{dag}' is of no stage in nightshift.specs.derived.STAGES; add its stage there")


def role_of(dag: str) -> str:
    """Return the role of a DAG's tasks, by its id.

    Raises:
        SpecError: it is of no stage that ROLES knows.
    """
    for role, stages in ROLES.items():
        if any(dag == stage or dag.startswith(f"{stage}_") for stage in stages):
            return role
    raise SpecError(f"DAG '{dag}' is of no stage in nightshift.specs.derived.ROLES; add its stage there")


def login_of(role: str) -> str:
    """Return the name that a role has in PostgreSQL."""
    return f"nightshift_{role}"


def collisions(specs: Iterable[Named], beside: Iterable[Named] = ()) -> Iterator[tuple[Named, str]]:
    """Yield each of ``specs`` that comes to a name of another one, of ``beside``, or of the project; and which.

    Of two, the one with the longer name: ``late_champion`` gives way to the view of ``late``.
    """
    taken = {("DAG", name): "of the project" for name in OF_THE_PROJECT}
    taken |= {name: f"of '{spec.name}'" for spec in beside for name in _names(spec)}
    for spec in sorted(specs, key=lambda spec: (len(spec.name), spec.name)):
        mine = list(_names(spec))
        clash = next(filter(taken.__contains__, mine), None)
        if clash:
            yield spec, f"its {' '.join(clash)} would be that {taken[clash]} too; rename the file"
        else:
            taken |= dict.fromkeys(mine, f"of '{spec.name}'")


def _names(spec: Named) -> Iterator[tuple[str, str]]:
    """Yield what is named after a spec: the kind of thing, and its name."""
    yield from (("DAG", dag_id(stage, spec)) for stage in STAGES[type(spec)])
    yield from (("table", f"{schema}.{name}") for schema, name in relations(spec))


def relations(spec: Named) -> list[tuple[str, str]]:
    """Return schema and name of what the warehouse has of a spec: tables, their indexes, views."""
    if isinstance(spec, Source):
        return _with_index("raw", spec.name)
    if isinstance(spec, FeatureSet):
        return _with_index("features", spec.table)
    nightly = [*_with_index("predictions", spec.name), ("predictions", spec.name + CHAMPION)]
    return [*nightly, *_with_index("labels", spec.name), *_with_index(ADHOC, spec.name)]


def _with_index(schema: str, table: str) -> list[tuple[str, str]]:
    return [(schema, table), (schema, table + INDEX)]
