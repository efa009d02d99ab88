"""Sign-off: a person decides in the Airflow UI. The task waits without a worker slot; no answer is a rejection.

A person is known here by their user name, as Airflow tells it of who starts a run and of who answers, whatever its auth
manager. Airflow's own list of assigned users holds ids, which are other than names with FAB and which a task cannot
learn: nobody is on it. Who may answer is judged when the answer is there; one that does not count spends nothing.
"""

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import TaskAwaitingInput
from airflow.sdk.timezone import utcnow

from nightshift import results
from nightshift.errors import RequestError
from nightshift.freeform import Json

COMMENT = Param(
    None,
    type=["null", "string"],
    maxLength=500,
    title="Comment",
    description_md="Why. Kept in the ledger with your name.",
)
SOON = timedelta(seconds=1)


class SignOff(ApprovalOperator):
    """Asks the approvers of a model; an answer of anybody else, or of who started the training, is asked for again.

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
        self.within = within

    def execute(self, context: Any) -> None:
        """Ask, and wait as long as the spec says."""
        self._wait(context, utcnow() + self.within)

    def execute_complete(self, context: Any, event: Json, until: str | None = None) -> Any:
        """Record the answer, then let the promotion follow, or skip it. An answer that does not count: ask again."""
        try:
            if "error" not in event:
                print(self._record(event))
        except RequestError as refused:
            self.log.warning("This answer does not count: %s. Asked again", refused)
            self._wait(context, datetime.fromisoformat(until) if until else utcnow() + self.within)
        return super().execute_complete(context, event)

    def _wait(self, context: Any, until: datetime) -> None:
        """Ask, taking back an answer given before; wait until an instant, however often it is asked."""
        self.response_timeout = max(until - utcnow(), SOON)
        try:
            super().execute(context)
        except TaskAwaitingInput as waiting:
            waiting.kwargs = {"until": until.isoformat()}
            raise

    def _record(self, event: Json) -> results.Signed:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        said = event["params_input"] or {}
        # The API takes any; further on they would fail the task.
        if not said.keys() <= {"comment"}:
            raise RequestError(f"expected a comment and nothing else, got {', '.join(map(repr, said))[:200]}")
        answer = stages.Answer(
            approved=event["chosen_options"] == [self.APPROVE],
            by=name_of(event["responded_by_user"]),
            comment=said.get("comment"),
            at=event["responded_at"],
        )
        run = this_run()
        return stages.sign(run.platform, self.model, run.asked, answer)


def name_of(user: dict[str, str] | None) -> str | None:
    """Return the user name of who answered; None if nobody did and the time ran out."""
    return (user["name"] or user["id"]) if user else None
