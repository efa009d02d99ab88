"""Look for what is wrong, and tell whoever must know: every five minutes, once when it begins and once when it is over.

- **evaluate** compares what is wrong now with `alerts.open`, and writes what changed and what is to be told, in one
  transaction. It is for no night: it looks at the newest ones, by the clock.
- **send** delivers what waits in `alerts.outbox`, then calls the dead man's switch, if the project declares one.

**By hand.** *Test a receiver* sends a test message. `nightshift alerts` lists what is open.

**When it fails.** *evaluate*: the warehouse or a connection is away; the next run sees the same. *send* does not fail
for a receiver that does not answer: the message stays, with why, and is sent later. Clearing is safe.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import chain, dag, task

from nightshift import results
from nightshift.alerts import KINDS
from nightshift.orchestration import forms
from nightshift.orchestration.lifecycle import of_project, project

SILENCE = """Keep receivers from being told of some alerts until an instant. The alerts stay open, and are seen.

- **silence** writes a row to `alerts.silences`: kind, subject, owner, end, reason, and who asked. What is still wrong
  at the end is told then. What was told before is told when it is over.

**By hand.** Always: it has no schedule. On a command line: `nightshift alerts silence`.

**When it fails.** *silent_until*: the end cannot be read, or is past. *kind*: there is no such kind.
"""
SOON = timedelta(minutes=10)


@task(pool="alerts", execution_timeout=SOON)
def evaluate() -> results.Looked:
    """Look once."""
    from nightshift import stages
    from nightshift.orchestration.links import alert_url
    from nightshift.orchestration.run import undated_run

    run = undated_run()
    now = datetime.now(UTC)
    if run.values["receiver"]:
        stages.try_receiver(run.platform, run.values["receiver"], now, alert_url)
    return stages.evaluate_alerts(run.platform, now, by=run.asked.run_id, link=alert_url)


@task(pool="alerts", execution_timeout=SOON)
def send() -> results.Sent:
    """Send what waits."""
    from nightshift import stages
    from nightshift.orchestration.receivers import deliverer, ping_outside
    from nightshift.orchestration.run import undated_run

    platform = undated_run().platform
    declared = platform.project.settings.alerts
    facts = stages.send_alerts(platform, deliverer(declared), lambda: datetime.now(UTC))
    ping_outside(declared)
    return facts


@task
def silence() -> results.Silenced:
    """Write the silence."""
    from nightshift import stages
    from nightshift.orchestration.run import undated_run

    run = undated_run()
    # Not `until` in the form, which there is the end of a range of nights.
    wanted = {**run.values, "until": run.values["silent_until"]}
    return stages.silence_alert(run.platform, wanted, actor=run.actor, now=datetime.now(UTC))


FORM = forms.alerts(sorted(project().settings.alerts.receivers))
ABOUT = "What is wrong now, told once when it begins and once when it is over."


@dag(**of_project("alerts", ABOUT, __doc__, schedule="*/5 * * * *", params=FORM, max_active_runs=1))
def alerts_flow() -> None:
    """Declare the DAG."""
    chain(evaluate(), send())


@dag(
    **of_project(
        "silence_alert",
        "Keep receivers from being told of some alerts.",
        SILENCE,
        schedule=None,
        params=forms.silence(sorted(KINDS)),
    )
)
def silence_flow() -> None:
    """Declare the DAG."""
    silence()


alerts_flow()
silence_flow()
