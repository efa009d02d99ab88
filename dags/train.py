"""Train a challenger, judge it fairly, promote it if it wins.

- **snapshot** freezes the rows that the night knew: features, and labels that had arrived. Named by its hash.
- **fit** trains the pipeline of the spec, after a search if that has a budget, and once more on the holdout's rows as
  well: that one serves (`train.refit`). It logs both to MLflow and registers a version. Its link opens the run; a
  search shows one line a trial in the log. A model that was brought with `nightshift import` is registered here
  instead, and goes on as any other.
- **evaluate** scores challenger and champion on the same holdout, later than anything either was trained on; of the
  challenger, the fit that has not seen it. It looks whether the refit is the same model and its file works, and writes
  the decision with every gate's words to `governance.decisions`.
- **ask**, **sign_off**, if the model's `approval` is `required`: its approvers read the evidence under *Required
  actions* and answer. No answer in time is a rejection. Who started the training, or the run of `retrain_NAME` behind
  it, does not sign it. An answer of anybody else does not count: the log says so, and it is asked again.
- **promote** writes the ledger, then moves the alias `champion`. Rejected challengers are not promoted; there
  is no other way in.
- **again**, **train_again**: if the champion changed while the signature was waited for, the challenger was compared
  with one that is none any more. The training starts again, against the new champion; not if that one was fitted on
  nights of its holdout: it is the fresher one then.
- **card** writes the model card and the bill of materials of the version (its link opens the card); **card_signed**
  once more, when it was signed.
- **conclude** gives the request its outcome, as it was written by what decided it, so that the next retraining may
  start: promoted, rejected, timed out, stale, barred, or failed.

**By hand.** *As of*: train on what that night knew; the promotion takes effect on that night, or after the
last night that has been scored since. *Reason*: kept in the ledger.

**When it fails.** Clear the failed task: each step finds what it had already done. *Too few rows*: collect and
build the missing nights first. *UnfairHoldout*: train as of the night that it names, or a later one.
*Its only approver*: add another to
`approvers`, or let another start the training.
"""

from datetime import timedelta

from airflow.sdk import TriggerRule, chain, dag, get_current_context, task

from nightshift import results
from nightshift.calendar import parse_date
from nightshift.orchestration import forms
from nightshift.orchestration.lifecycle import features, lifecycle, project, raw
from nightshift.orchestration.lineage import traced
from nightshift.orchestration.links import linked
from nightshift.orchestration.signing import SignOff
from nightshift.orchestration.telemetry import tell_failure
from nightshift.orchestration.trigger import start_training
from nightshift.specs import Model


def train_dag(model: Model) -> None:
    """Declare the DAG of one model."""

    @task
    def snapshot() -> results.Frozen:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        return stages.snapshot(run.platform, model.name, run.night, run.asked)

    @task(pool="training")
    def fit(frozen: results.Frozen) -> results.Fitted:
        from nightshift import stages
        from nightshift.orchestration.run import still_told, this_run

        run, frozen = this_run(), still_told(frozen, "snapshot")
        file, until = run.values["imported"], run.values["trained_until"]
        if file:
            return stages.take_over(
                run.platform,
                model.name,
                frozen["snapshot_id"],
                run.asked,
                file=file,
                trained_until=parse_date(until, "trained_until"),
                reason=run.reason,
                actor=run.actor,
            )
        return stages.fit(run.platform, model.name, frozen["snapshot_id"], run.asked, reason=run.reason)

    @task
    def evaluate() -> results.Decided:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        return stages.evaluate(
            run.platform, model.name, run.night, run.asked, reason=run.reason, requested_by=run.person
        )

    @task
    def ask() -> results.ToSign:
        from airflow.sdk.exceptions import AirflowSkipException

        from nightshift import stages
        from nightshift.orchestration.links import file_url, run_url
        from nightshift.orchestration.run import this_run

        run = this_run()
        here = run_url(get_current_context()["dag_run"])
        asked = stages.ask_for_signature(run.platform, model.name, run.asked, airflow_run=here, page=file_url)
        if asked is None:
            raise AirflowSkipException("nothing to sign: the gates rejected it, or it has its answer")
        return asked

    @task
    def promote() -> results.Promoted:
        from airflow.sdk.exceptions import AirflowSkipException

        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        facts = stages.promote(run.platform, model.name, run.night, run.asked, actor=run.actor)
        if facts["outcome"] != "promoted":
            raise AirflowSkipException(
                f"version {facts['version']} is {facts['outcome']}; the champion stays"
            )
        return facts

    @task(trigger_rule=TriggerRule.NONE_FAILED)
    def card() -> results.Carded:
        from nightshift import stages
        from nightshift.orchestration.links import file_url
        from nightshift.orchestration.run import this_run

        run = this_run()
        facts = stages.write_card(run.platform, model.name, run.asked)
        facts["url"] = file_url(facts["card"])
        return facts

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def again() -> results.Repeat:
        from airflow.sdk.exceptions import AirflowSkipException

        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        wanted = stages.judge_again(run.platform, model.name, run.asked)
        if wanted is None:
            raise AirflowSkipException(
                "the champion is the one it was compared with, or has seen the holdout"
            )
        return wanted

    @task(trigger_rule=TriggerRule.ALL_DONE, on_failure_callback=tell_failure)
    def conclude() -> results.Ended:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        return stages.conclude(run.platform, run.asked)

    @dag(**lifecycle("train", model, __doc__, schedule=None, params=forms.TRAIN, max_active_runs=1))
    def flow() -> None:
        read = [features(project().feature_set(model.features)).name]
        read += [raw(model.target.source).name] if model.target else []
        frozen = traced(snapshot(), reads=read, writes=[f"snapshots.{model.name}"])
        fitted = linked(fit(frozen), "MLflow run", "url")
        traced(fitted, reads=[f"snapshots.{model.name}"], writes=[f"models.{model.name}"])
        judged = evaluate()
        chain(fitted, judged)
        written = linked(card(), "Model card", "url")
        if model.approval == "auto":
            chain(judged, promote(), [written, conclude()])
            return
        repeated = again()
        signed = linked(card.override(task_id="card_signed")(), "Model card", "url")
        within = timedelta(hours=model.approve_within_hours)
        sign_off = SignOff(task_id="sign_off", model=model.name, within=within)
        chain(judged, written, ask(), sign_off, promote(), [signed, repeated])
        chain(repeated, [start_training("train_again", model, decided_by="again"), conclude()])

    flow()


for each in project().models.values():
    train_dag(each)
