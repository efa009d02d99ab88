"""Tasks that start another DAG as a task has decided; their own module, for the DAG files that need them."""

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

from nightshift.specs import Model


def start_training(task_id: str, model: Model, *, decided_by: str) -> TriggerDagRunOperator:
    """Return the task; the task ``decided_by`` returns ``training_id``, ``as_of`` and ``reason``. It starts once."""
    return _start(task_id, f"train_{model.name}", decided_by, "training_id", "as_of")


def start_rollback(task_id: str, model: Model, *, decided_by: str) -> TriggerDagRunOperator:
    """Return the task; the task ``decided_by`` returns ``run_id`` and ``reason``. It starts once.

    No version is named: the one before the champion of now, once.
    """
    return _start(task_id, f"rollback_{model.name}", decided_by, "run_id")


def _start(task_id: str, dag_id: str, decided_by: str, run_id: str, *asked: str) -> TriggerDagRunOperator:
    """Return the task that starts a run; ``run_id``, ``asked``: what of the decision its id and its form hold."""
    said = f"ti.xcom_pull('{decided_by}')"
    return TriggerDagRunOperator(
        task_id=task_id,
        trigger_dag_id=dag_id,
        trigger_run_id=f"{{{{ {said}['{run_id}'] }}}}",
        conf={
            **{name: f"{{{{ {said}['{name}'] }}}}" for name in asked},
            "reason": f"{{{{ {said}['reason'][:500] }}}}",
        },
        # None, not the default of now: what a run is as of is in its parameters.
        logical_date=None,
        skip_when_already_exists=True,
        # It would add a key of its own to the form's values, and a key that no form has is refused.
        openlineage_inject_parent_info=False,
    )
