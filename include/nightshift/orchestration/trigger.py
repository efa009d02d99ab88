"""Tasks that start another DAG as a task has decided; their own module, for the DAG files that need them."""

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

from nightshift.specs import Model


def start_rollback(task_id: str, model: Model, *, decided_by: str) -> TriggerDagRunOperator:
    """Return the task; the task ``decided_by`` returns ``run_id`` and ``reason``. It starts once.

    No version is named: the one before the champion of now, once.
    """
    said = f"ti.xcom_pull('{decided_by}')"
    return TriggerDagRunOperator(
        task_id=task_id,
        trigger_dag_id=f"rollback_{model.name}",
        trigger_run_id=f"{{{{ {said}['run_id'] }}}}",
        conf={"reason": f"{{{{ {said}['reason'][:500] }}}}"},
        logical_date=None,
        skip_when_already_exists=True,
        openlineage_inject_parent_info=False,
    )


def start_training(task_id: str, model: Model, *, decided_by: str) -> TriggerDagRunOperator:
    """Return the task; the task ``decided_by`` returns ``training_id``, ``as_of`` and ``reason``. It starts once."""
    said = f"ti.xcom_pull('{decided_by}')"
    return TriggerDagRunOperator(
        task_id=task_id,
        trigger_dag_id=f"train_{model.name}",
        trigger_run_id=f"{{{{ {said}['training_id'] }}}}",
        conf={
            "as_of": f"{{{{ {said}['as_of'] }}}}",
            "reason": f"{{{{ {said}['reason'][:500] }}}}",
        },
        # None, not the default of now: what a training is as of is in its parameters.
        logical_date=None,
        skip_when_already_exists=True,
        # It would add a key of its own to the form's values, and a key that no form has is refused.
        openlineage_inject_parent_info=False,
    )
