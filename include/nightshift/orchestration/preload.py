"""Import the ML libraries once, before the workers fork: for deployments without the local launcher.

Under Celery, or where somebody else starts the scheduler (Astro), a task would pay 10 to 20 CPU-seconds of
imports each time. Airflow imports ``airflow_local_settings`` when a process starts; that module calls
:func:`preload`. Only the process whose children run tasks takes the weight: the API server, the DAG processor
and the triggerer never do, nor does any other command.

``include/airflow_local_settings.py`` makes the call; it is found wherever ``include/`` is on PYTHONPATH. This
module must not import Airflow, which is only half imported at that moment.
"""

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

# What tasks import: nightshift.stages brings the engine, the others are what it imports late, or not at all.
HEAVY = (
    "pandas",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "scipy.stats",
    "pyarrow.csv",
    "pyarrow.parquet",
    "adbc_driver_postgresql.dbapi",
    "mlflow",
    "skops.io",
    "great_expectations",
    "evidently",
    "optuna.samplers",
    "optuna.pruners",
    "nightshift.stages",
    "nightshift.validate.expectations",
)
PARENTS_OF_TASKS = (("scheduler",), ("celery", "worker"))
# Airflow's own default. A configuration file may say otherwise: then a scheduler takes the weight for nothing.
EXECUTOR, LOCAL = "AIRFLOW__CORE__EXECUTOR", "LocalExecutor"


def preload(argv: Sequence[str] | None = None) -> list[str]:
    """Import the heavy modules if this process will fork tasks; return those that were imported."""
    words = list(sys.argv if argv is None else argv)[1:]
    if not any(tuple(words[: len(parent)]) == parent for parent in PARENTS_OF_TASKS):
        return []
    # Of Celery or Kubernetes, the scheduler only hands tasks out.
    if words[0] == "scheduler" and LOCAL not in os.environ.get(EXECUTOR, LOCAL):
        return []
    return import_heavy()


def import_heavy() -> list[str]:
    """Import the heavy modules; return those that were imported."""
    # Under Airflow, importing Great Expectations prints hundreds of lines about what it registers.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # skops asks every loaded module for every function of scipy; Airflow's answer with deprecations.
        warnings.simplefilter("ignore")
        return [name for name in HEAVY if _import(name)]


def _import(name: str) -> bool:
    try:
        import_module(name)
    except Exception as error:  # noqa: BLE001 - it costs its tasks the time; the scheduler must start
        logging.getLogger(__name__).warning("could not preload %s: %s", name, error)
        return False
    return True
