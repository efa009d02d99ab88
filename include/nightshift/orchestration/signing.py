"""Sign-off: a person decides in the Airflow UI. The task waits without a worker slot; no answer is a rejection."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param

COMMENT = Param(
    None,
    type=["null", "string"],
    maxLength=500,
    title="Comment",
    description_md="Why. Kept in the ledger with your name.",
)


class SignOff(ApprovalOperator):
    """Asks the approvers of a model; only they may answer, and never the person who started the training.

    The task ``ask`` before it says what is asked and of whom. The answer is recorded here, before anything follows.
    """

    def __init__(self, *, model: str, within: timedelta, **more: Any) -> None:
        super().__init__(
            subject="{{ ti.xcom_pull('ask')['subject'] }}",
            body="{{ ti.xcom_pull('ask')['body'] }}",
            # Silence is a no: with Approve here the request would approve itself.
            defaults=self.REJECT,
            response_timeout=within,
            # Airflow hands a DAG's own form to each of its tasks; here is asked for a comment, and nothing else.
            **{**more, "params": {"comment": COMMENT}},
        )
        self.model = model

    def pre_execute(self, context: Any) -> None:
        """Take the approvers of this training from ``ask``: who they are depends on who started it."""
        asked = context["ti"].xcom_pull(task_ids="ask")
        self.assigned_users = [{"id": user, "name": user} for user in asked["approvers"]]

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Record the answer, then let the promotion follow, or skip it."""
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        if "error" not in event:
            run, user = this_run(), event["responded_by_user"]
            answer = stages.Answer(
                approved=event["chosen_options"] == [self.APPROVE],
                by=(user["name"] or user["id"]) if user else None,
                comment=(event["params_input"] or {}).get("comment"),
                at=event["responded_at"],
            )
            print(stages.sign(run.platform, self.model, run.asked, answer))
        return super().execute_complete(context, event)
