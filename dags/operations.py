"""Operations: what is started by hand, and what is counted again every night. Each DAG has a runbook of its own."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import chain, dag, task

from nightshift import results
from nightshift.orchestration import forms
from nightshift.orchestration.lifecycle import (
    lifecycle,
    nightly,
    of_project,
    predictions,
    project,
    raw,
    readers,
)
from nightshift.orchestration.links import linked
from nightshift.orchestration.publishing import left, publish
from nightshift.specs import Model, Source

REPLAY = """Work the quarantine of one source: take back rows that were set aside, or discard them.

- **replay** does what *action* says, for the batch date or the range:
  `revalidate` judges the landed files again, by `include/sources/NAME.yaml` as it is now; the name of a fix
  declared there applies it to the rows that break the rule on its column, and judges again; `recollect`
  collects from the upstream once more; `discard` notes that the rows stay out, and why.
  Rows that are accepted now move from `quarantine.rows` to `raw.NAME` in one transaction. A batch that failed
  over its budget may pass now.
- **publish** announces the nights on which rows moved. None: it is skipped. Features that were built from such a
  night are built again; a night that had failed starts its features once all their sources have it.

**When it fails.** *Still fails*: the message names the night and the rules; nothing of that night was written.
*Superseded*: a collection or another replay took the night; trigger again. *No batch*: run `collect_NAME` first.
Clearing is safe: what has moved does not move twice.
"""
RECONCILE = """Count again: rows landed = accepted + rejected = rows in `raw.NAME` + rows in `quarantine.rows`.

Every night, over all batches published so far; by hand, over a range. A night counts its own rows before it commits
(`collect_NAME`, task *validate*), so what is found here was changed afterwards. A task of its own, and of no
night's chain: a batch that somebody changed last month must not stop this night's predictions.

**When it fails.** The message names each date and the numbers. Somebody changed the tables by hand: trigger
`replay_quarantine_NAME` with `recollect`, or `collect_NAME` for the date.
"""
ROLLBACK = """Take the champion out of service: a former champion is champion again.

- **roll_back** writes the ledger, then moves the alias. It takes effect on the first night that is not scored yet. The
  version taken out is barred: neither it nor a copy of it is promoted by a training.
- **score** scores the nights that the form names again, with the former champion. No dates: it is skipped, and past
  nights stay as they were. Dates must reach to the last night that was scored.
- **publish** announces these nights; monitoring follows.

**By hand.** *Reason* is required. *Version*: any former champion; one that is barred is free again. Empty: the champion
before, once. A retraining that drift asks for waits for the cooldown, counted from this night.

**When it fails.** *Has never been champion*: only a version that won its gates and was champion can be gone back to.
*Was rolled back already*: somebody was faster; name the version to go further back. Clearing is safe: a run writes
the ledger once.
"""
REGISTRY = """Make MLflow agree with the ledger, for every model: after crashes, and after changes by hand.

- **reconcile** verifies the ledger's chain of hashes. The alias is pointed at the ledger's newest entry. Versions and
  runs that a training left behind when it was killed are tagged `nightshift.orphan`, once they are older than *grace*.
  What it changed is in its log, how many things in its result; doing it again changes nothing.

Every night, and by hand at any time. It is for no night.

**When it fails.** *Was changed after it was written*, *does not follow*: somebody changed the ledger; see *The ledger
does not verify* in `docs/runbooks.md`. *Is gone from the registry*: restore the champion's version, or roll back.
"""

REPRODUCE = """Train a version again from nothing but its record, and compare: is it the model it is said to be?

- **reproduce** takes the version's snapshot by its hash, its spec as it was, and its seeds; trains; and compares
  metrics, and the predictions on every row of the snapshot. Its link opens the findings (*Findings*):
  equal to the bit, or what differs and by how much, and what is different of code, packages, processor and threads.
  A row goes to `governance.reproductions`. Nothing is registered or promoted, and no night changes.

**By hand.** Always: it has no schedule. *Version*: empty is the champion.

**When it fails.** *ArtifactRefused*: the snapshot, the spec or the model file is not what was recorded; the message
names it. Restore it from a backup, or do not trust the version. A version that comes out otherwise is no failure of
the task: `docs/reproduce.md` says where equality ends.
"""

REPLAY_POLICIES = """What would retraining have gained, by each policy, over nights whose outcomes are known?

- **replay** trains a candidate every few nights from what was known then, by the functions of a training, and looks up
  what each policy would have had in service: never, every so many weeks with and without the gates, the best in
  hindsight. Its link opens the page (*Replay*); a row a policy goes to `monitoring.replays`. No version, no night and
  no champion changes.

**By hand.** Always: it has no schedule. *From* and *To* are the nights. Clearing it goes on with the candidates it has.

**When it fails.** *Labelled rows*, *leaves no day to train on*: begin later, or collect earlier nights. *--set*: a
line of *Changes* is wrong; the message says what of it.
"""

PREDICT = """Have the champion score given entities of a night, beside the nightly predictions.

- **predict** takes the night's features of the entities that the form names, and keeps what the champion of that night
  says of them in `adhoc.NAME`, under the id of this run. `predictions.NAME` stays as it is, and nobody is told.
  Its log says how many keys were found, and names those that were not. Clearing it replaces this run's rows.

**By hand.** Always: it has no schedule. *Keys* or *Where*, not both. On a command line: `nightshift score NAME`.

**When it fails.** *Nothing to score*: none of the entities has features on that night; the message names the keys.
*Unknown column*: only columns of the entity and features can be asked for. *No partition*: build the night first.
"""


def replay_dag(source: Source) -> None:
    """Declare the DAG that works the quarantine of one source."""

    @task
    def replay() -> results.Replayed:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        given = {key: run.values[key] for key in ("action", "rule", "reason")}
        wanted = stages.Replay(actor=run.actor, **given)
        with left(run, source.name):
            return stages.replay(run.platform, source.name, run.nights, run.asked, wanted)

    @dag(**lifecycle("replay_quarantine", source, REPLAY, schedule=None, params=forms.replay(source)))
    def flow() -> None:
        chain(replay(), publish(raw(source.name), rebuilds=readers(source), corrected_only=True))

    flow()


def reconcile_dag(source: Source) -> None:
    """Declare the DAG that counts the rows of one source again."""

    @task
    def reconcile() -> results.Reconciled:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        return stages.reconcile_source(run.platform, source.name, run.nights_so_far)

    @dag(**lifecycle("reconcile", source, RECONCILE, schedule=nightly(), params=forms.COUNT))
    def flow() -> None:
        reconcile()

    flow()


def rollback_dag(model: Model) -> None:
    """Declare the DAG that rolls one model back."""

    @task
    def roll_back() -> results.RolledBack:
        from nightshift import stages
        from nightshift.orchestration.run import undated_run

        run = undated_run()
        return stages.roll_back(
            run.platform,
            model.name,
            run.asked,
            to=run.values["version"],
            reason=run.reason,
            actor=run.actor,
            as_of=run.as_of,
            again=run.typed,
        )

    @task
    def score() -> results.Scored:
        from airflow.sdk.exceptions import AirflowSkipException

        from nightshift import stages
        from nightshift.orchestration.run import undated_run

        run = undated_run()
        if run.typed is None:
            raise AirflowSkipException("no dates were given: past nights stay as they were scored")
        return stages.score(run.platform, model.name, run.typed, run.asked)

    @dag(**lifecycle("rollback", model, ROLLBACK, schedule=None, params=forms.ROLLBACK, max_active_runs=1))
    def flow() -> None:
        chain(roll_back(), score(), publish(predictions(model.name)))

    flow()


def predict_dag(model: Model) -> None:
    """Declare the DAG that scores what somebody asks for."""

    @task
    def predict() -> results.Asked:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        facts, words = stages.score_entities(run.platform, model.name, run.night, run.asked, run.wanted)
        print(words)
        return facts

    @dag(**lifecycle("predict", model, PREDICT, schedule=None, params=forms.PREDICT))
    def flow() -> None:
        predict()

    flow()


def reproduce_dag(model: Model) -> None:
    """Declare the DAG that makes a version of one model again."""

    @task(pool="training")
    def reproduce() -> results.Reproduced:
        from nightshift import stages
        from nightshift.orchestration.links import file_url
        from nightshift.orchestration.run import undated_run

        run = undated_run()
        version = run.values["version"]
        facts = stages.reproduce(run.platform, model.name, version, run.asked, reason=run.reason)
        facts["url"] = file_url(facts["page"])
        return facts

    @dag(**lifecycle("reproduce", model, REPRODUCE, schedule=None, params=forms.REPRODUCE))
    def flow() -> None:
        linked(reproduce(), "Findings", "url")

    flow()


def replay_policies_dag(model: Model) -> None:
    """Declare the DAG that replays the retraining of one model."""

    @task(pool="training")
    def replay() -> results.Rehearsed:
        from nightshift import stages
        from nightshift.calendar import DateRange, parse_date
        from nightshift.orchestration.links import file_url
        from nightshift.orchestration.run import undated_run

        run = undated_run()
        given = run.values
        asked = stages.Rehearsal(
            DateRange(parse_date(given["first"], "first"), parse_date(given["last"], "last")),
            given["every"],
            given["starts"],
            tuple(given["changes"] or ()),
        )
        facts = stages.rehearse(
            run.platform,
            model.name,
            asked,
            run.asked,
            reason=run.reason,
            watch=lambda done, total: print(f"candidate {done} of {total}"),
        )
        facts["url"] = file_url(facts["page"])
        return facts

    form = forms.REPLAY_POLICIES

    @dag(**lifecycle("replay_policies", model, REPLAY_POLICIES, schedule=None, params=form))
    def flow() -> None:
        linked(replay(), "Replay", "url")

    flow()


@task
def reconcile() -> dict[str, int]:
    """Make the registry agree with the ledger."""
    from nightshift import stages
    from nightshift.orchestration.run import undated_run

    run = undated_run()
    # The clock decides only whether a training may still run, not about any data.
    grace = timedelta(hours=run.values["grace_hours"])
    facts = stages.reconcile_registry(run.platform, now=datetime.now(UTC), grace=grace)
    print(*facts["changed"], *facts["left"], sep="\n")
    return {"models": len(facts["models"]), "changed": len(facts["changed"]), "left": len(facts["left"])}


ABOUT = "The registry agrees with the ledger, and the ledger with itself."


@dag(**of_project("reconcile_registry", ABOUT, REGISTRY, schedule=nightly(), params=forms.RECONCILE))
def registry_flow() -> None:
    """Declare the DAG of all models."""
    reconcile()


for each in project().sources.values():
    replay_dag(each)
    reconcile_dag(each)
for model in project().models.values():
    rollback_dag(model)
    reproduce_dag(model)
    predict_dag(model)
    if model.target and model.estimator.is_trained:
        replay_policies_dag(model)
registry_flow()
