"""Many specs: the CPU-seconds to parse each DAG file of a project of 25 models, 10 sources and 5 feature sets.

    python benchmarks/parse.py

As the DAG processor does it: Airflow is imported once and not counted, then a child process a file parses it,
with all its own imports and the reading of every spec. The bar is 3 CPU-seconds for all files together. The
exit code is 1 above it, or if a DAG is missing.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from time import process_time

SOURCES, FEATURE_SETS, MODELS = 10, 5, 25
# Four a source (collect, explore, replay, reconcile), two a feature set, six a model, four of the project.
DAGS = 4 * SOURCES + 2 * FEATURE_SETS + 6 * MODELS + 4
BAR = 3.0
REPOSITORY = Path(__file__).resolve().parents[1]
MODULE = '''"""What is known of a flight beforehand, number {n}."""

FEATURES = {{
    "version": 1,
    "owner": "flight-operations",
    "entity": ["flight_id"],
    "inputs": {{"flights_{n}": {{"look_back_days": 0}}, "arrivals_{n}": {{"look_back_days": 28}}}},
    "columns": {{{columns}}},
}}


def build(inputs, batch_date):
    """Return one row a flight."""
    return inputs["flights_{n}"]
'''


def make(include: Path) -> Path:
    """Write the project into the folder ``include``, made of this repository's own specs; return the folder."""
    ours = REPOSITORY / "include"
    for part in ("sources", "features", "models"):
        (include / part).mkdir(parents=True)
    shutil.copy(ours / "project.yaml", include)
    columns = ", ".join(f'"x{i}": "float"' for i in range(24))
    for n in range(FEATURE_SETS):
        for name in ("flights", "arrivals"):
            shutil.copy(ours / f"sources/{name}.yaml", include / f"sources/{name}_{n}.yaml")
        (include / f"features/set_{n}.py").write_text(MODULE.format(n=n, columns=columns))
    model = (ours / "models/late_arrival.yaml").read_text()
    for number in range(MODELS):
        n = number % FEATURE_SETS
        text = model.replace("features: departure", f"features: set_{n}")
        text = text.replace("arrivals,", f"arrivals_{n},").replace("[origin, carrier]", "[x0, x1]")
        (include / f"models/model_{number:02}.yaml").write_text(text)
    return include


def parse(path: Path) -> tuple[float, int]:
    """Return the CPU-seconds and the number of DAGs of one file, parsed in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        from airflow.dag_processing.dagbag import DagBag

        before = process_time()
        bag = DagBag(str(path))
        os.write(writing, json.dumps([process_time() - before, len(bag.dags)]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        seconds, found = json.load(told)
    os.waitpid(child, 0)
    return seconds, found


def main() -> int:
    """Run the benchmark; return 0 if all DAGs are there within the bar."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NIGHTSHIFT_INCLUDE"] = str(make(Path(folder) / "include"))
        os.environ |= {"AIRFLOW_HOME": folder, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        import airflow.dag_processing.dagbag
        import airflow.providers.standard.operators.trigger_dagrun  # noqa: F401
        from airflow.sdk import Asset, ExceptionRetryPolicy, PartitionedAssetTimetable, chain, dag, task  # noqa: F401

        parsed = {path.stem: parse(path) for path in sorted((REPOSITORY / "dags").glob("*.py"))}
    spent, found = sum(s for s, _ in parsed.values()), sum(n for _, n in parsed.values())
    for stem, (seconds, dags) in parsed.items():
        print(f"{stem}: {dags} DAGs, {seconds:.2f} CPU-s")
    print(f"in all: {found} DAGs of {DAGS}, {spent:.2f} CPU-s (bar {BAR})")
    return 0 if spent <= BAR and found == DAGS else 1


if __name__ == "__main__":
    sys.exit(main())
