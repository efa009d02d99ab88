"""`nightshift alerts`: what is wrong now, silences, and a test of a receiver."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from nightshift.cli.new import clear_errors

if TYPE_CHECKING:
    from nightshift.records.alerts import OpenAlert, Pulse

app = typer.Typer(help="What is wrong now, and who is told of it.", invoke_without_command=True)
console = Console(highlight=False)


@app.callback()
def listed(context: typer.Context) -> None:
    """List what is wrong now, the worst first, and when that was seen. Exit code 1 if anything is, or nobody looks.

    Of NIGHTSHIFT_WAREHOUSE_URL, or the local stack's warehouse.
    """
    if context.invoked_subcommand is not None:
        return

    from nightshift.cli.handles import warehouse_url
    from nightshift.database import Database
    from nightshift.records import alerts

    with clear_errors():
        database = Database(warehouse_url("reader"))
        rows, pulse = database.all(alerts.OPEN), database.one(alerts.PULSE)
    late = pulse is None or pulse.is_late(datetime.now(UTC))
    if rows:
        console.print(table(rows))
    elif not late:
        console.print("Nothing is wrong.")
    console.print(looked(pulse, late=late), soft_wrap=True)
    raise typer.Exit(1 if rows or late else 0)


def looked(pulse: "Pulse | None", *, late: bool) -> str:
    """Return when alerts were looked for last; where that is too long ago, what it means."""
    if pulse is None:
        return "[red]Nobody has looked yet:[/] the DAG `alerts` does, every five minutes"
    when = f"{pulse.evaluated_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if late:
        return f"[red]Nobody has looked since {when}:[/] is the DAG `alerts` paused, or the scheduler down?"
    return f"Looked at {when}."


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def table(rows: "list[OpenAlert]") -> Table:
    """Return open alerts as a table."""
    from rich.text import Text

    found = Table("severity", "kind", "subject", "since", "owner", "what", box=None)
    for row in rows:
        note = f" (follows from {row.muted_by})" if row.muted_by else ""
        note += f" (silenced until {_utc(row.silenced_until)} UTC)" if row.silenced_until else ""
        since = _utc(row.since)
        cells = (row.severity, row.kind, row.subject, since, row.owner, f"{row.title}{note}. {row.action}")
        found.add_row(*map(Text, cells))
    return found


@app.command()
def silence(
    kind: Annotated[str, typer.Argument(help="for instance harm; '*' is each")],
    subject: Annotated[str, typer.Argument(help="for instance model:late_arrival; '*' is each")],
    *,
    owner: Annotated[str, typer.Option("--owner", help="who answers for it")],
    until: Annotated[str, typer.Option("--until", help="YYYY-MM-DD or YYYY-MM-DDTHH:MM")],
    reason: Annotated[str, typer.Option("--reason", help="why nobody need be told")],
) -> None:
    """Keep receivers from being told of alerts until an instant. They stay open, and are seen.

    Of NIGHTSHIFT_WAREHOUSE_URL, or the local stack's warehouse.
    """
    from getpass import getuser

    from nightshift.alerts.silencing import silence as keep
    from nightshift.cli.handles import warehouse_url
    from nightshift.database import Database
    from nightshift.specs import load_project

    with clear_errors():
        wanted = {"kind": kind, "subject": subject, "owner": owner, "until": until, "reason": reason}
        kept = keep(
            Database(warehouse_url("alerts")), load_project(), wanted,
            actor=f"{getuser()}, by command", now=datetime.now(UTC),
        )  # fmt: skip
    console.print(
        f"{kept.kind} of {kept.subject}: silent until {kept.until:%Y-%m-%d %H:%M} UTC.", markup=False
    )


@app.command()
def send_test(
    receiver: Annotated[str, typer.Argument(help="one of alerts.receivers in project.yaml")],
) -> None:
    """Send a receiver a test message, by the DAG `alerts` of the local stack: connections are Airflow's."""
    from nightshift.alerts.evaluating import require_receiver
    from nightshift.cli.trigger import start
    from nightshift.specs import load_project

    with clear_errors():
        require_receiver(load_project().settings.alerts, receiver)
        start("alerts", {}, [f"receiver={receiver}"], waits=True, until=None, tell=console.print)


@app.command()
def watch() -> None:
    """Look and send in Airflow's place, if it does not: for a timer outside of Airflow, every five minutes.

    Connections are those that the environment gives (AIRFLOW_CONN_...); the local stack's supervisor does this itself.
    """
    from nightshift.orchestration.watch import watch as look

    with clear_errors():
        looked = look({})
    console.print("Looked, and sent what waited." if looked else "Airflow looks for alerts.")
