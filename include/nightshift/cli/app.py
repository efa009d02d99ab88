"""The `nightshift` command."""

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer
from rich.console import Console
from rich.markup import escape

from nightshift.cli import alerts, new
from nightshift.cli.new import clear_errors
from nightshift.errors import NightshiftError, RequestError

if TYPE_CHECKING:
    from nightshift.runtime.state import Runtime

app = typer.Typer(
    help="Nightshift on this machine: PostgreSQL, MLflow and Airflow, without containers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(new.app, name="new")
app.add_typer(alerts.app, name="alerts")
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="new, or empty")],
    *,
    timezone: Annotated[str, typer.Option("--timezone", help="nights are dates there")] = "UTC",
    first_night: Annotated[
        str | None, typer.Option("--first-night", help="the earliest, YYYY-MM-DD; a year ago, if left out")
    ] = None,
    last_night: Annotated[
        str | None, typer.Option("--last-night", help="of data of the past; with live data there is none")
    ] = None,
) -> None:
    """Make an empty project that runs: settings, folders for specs, and what Airflow reads."""
    from datetime import UTC, datetime, timedelta

    from nightshift.calendar import parse_date
    from nightshift.drafts.project import new_project

    with clear_errors():
        year_ago = datetime.now(UTC).date() - timedelta(days=365)
        first = parse_date(first_night, "--first-night") if first_night else year_ago
        last = parse_date(last_night, "--last-night") if last_night else None
        file = new_project(folder, timezone=timezone, first_night=first, last_night=last)
    console.print(f"Wrote {file} and what Airflow reads.", "Next:", sep="\n", soft_wrap=True, markup=False)
    here = Path(sys.executable).parent
    on_path = shutil.which("nightshift")
    reach = [] if on_path and Path(on_path).parent == here else [f'  export PATH="{here}:$PATH"']
    steps = [*reach, f"  cd {folder}", "  nightshift up", "  nightshift new source NAME ..."]
    console.print(*steps, sep="\n", soft_wrap=True, markup=False)


@app.command()
def up() -> None:
    """Start the stack and wait until all of it is healthy. Does nothing if it runs already."""
    from nightshift.cli import display
    from nightshift.runtime import control

    began = time.monotonic()
    with clear_errors(), display.progress(console) as watch:
        runtime, started = control.up(watch)
    seconds = time.monotonic() - began
    console.print(f"[green]All healthy[/] after {seconds:.0f} s." if started else "[green]Already up.[/]")
    display.print_doors(console, runtime)


@app.command()
def down(
    *,
    purge: Annotated[bool, typer.Option("--purge", help="delete all data too, after asking")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="with --purge: do not ask")] = False,
) -> None:
    """Stop the stack. The data stays."""
    from nightshift.runtime import control, state

    if purge:
        if not yes:
            typer.confirm(f"Delete everything in {state.home()}: warehouse, models, logs?", abort=True)
        with clear_errors():
            gone = control.purge()
        console.print(
            *(f"deleted {path}" for path in gone) if gone else ["There was nothing to delete."], sep="\n"
        )
        return
    with clear_errors(), console.status("stopping"):
        stopped = control.down()
    console.print("Stopped." if stopped else "Nothing was running.")


@app.command()
def status() -> None:
    """Show what runs and how it is. Exit code 0 only if everything is healthy."""
    from nightshift.cli import display
    from nightshift.runtime import control, health, log_files, state

    home = state.home()
    snapshot = state.read_snapshot(home)
    if snapshot is None or not (snapshot.components or control.is_supervised(snapshot)):
        console.print("Nothing runs here. Start it with `nightshift up`.")
        raise typer.Exit(1)
    verdicts = display.verdicts(snapshot)
    console.print(display.table(snapshot, verdicts))
    supervised = control.is_supervised(snapshot)
    if not supervised:
        console.print(
            "[red]Nobody watches over it:[/] the supervisor is gone; `nightshift up` brings it back"
        )
    trouble = log_files.nearly_full(home, home / "logs", home / "objects")
    stands = health.standstill(snapshot.runtime, snapshot.components)
    trouble += [f"scheduler: {stands}"] if stands else []
    for words in trouble:
        console.print(f"[red]{escape(words)}[/]", soft_wrap=True)
    if verdicts.get("postgres"):
        _print_waiting(snapshot.runtime)
    raise typer.Exit(0 if supervised and all(verdicts.values()) and not trouble else 1)


def _print_waiting(runtime: "Runtime") -> None:
    """Print which nights wait for a source. No trouble of the stack's, so neither is what keeps it from being said."""
    from nightshift.cli.logins import missing
    from nightshift.cli.waiting import waiting
    from nightshift.database import Database
    from nightshift.specs import load_project

    with suppress(NightshiftError):
        for words in missing(Database(runtime.warehouse_url)):
            console.print(f"[yellow]{escape(words)}[/]", soft_wrap=True)
        for words in waiting(Database(runtime.warehouse_as("reader")), load_project()):
            console.print(escape(words), soft_wrap=True)


@app.command()
def doctor() -> None:
    """Say what is wrong with this installation, and what to do. Exit code 1 if anything is.

    Of the local stack, or of the warehouse that NIGHTSHIFT_WAREHOUSE_URL names and the MLflow of MLFLOW_TRACKING_URI.
    """
    from datetime import UTC, datetime

    from nightshift.runtime import doctor, state

    with clear_errors(), console.status("looking"):
        found = doctor.examine(doctor.Installation(state.home(), lambda: datetime.now(UTC)))
    for finding in found:
        console.print(f"{'[red]wrong[/]' if finding.troubles else '[green]well [/]'}  {finding.name}")
        for words in finding.troubles:
            console.print(f"       {words}", soft_wrap=True, markup=False)
        if finding.troubles:
            console.print(f"       -> {finding.remedy}", soft_wrap=True, markup=False)
    raise typer.Exit(1 if any(finding.troubles for finding in found) else 0)


@app.command()
def logs(
    component: Annotated[str | None, typer.Argument(help="for instance scheduler; all, if left out")] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on until interrupted")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="of each file")] = 20,
) -> None:
    """Show the end of the logs."""
    from nightshift.runtime import state

    folder = state.home() / "logs"
    files = sorted(folder.glob(f"{component or '*'}.log"))
    if not files:
        known = ", ".join(sorted(file.stem for file in folder.glob("*.log"))) or "none yet"
        errors.print(f"no log of '{component}'; logs: {known}")
        raise typer.Exit(1)
    command = ["tail", "-n", str(lines), *(["-F"] if follow else []), *map(str, files)]
    try:
        code = subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        code = 0
    raise typer.Exit(code)


class Checked(StrEnum):
    """What `nightshift check` can check beyond the specs."""

    features = "features"


@app.command()
def check(
    what: Annotated[
        Checked | None, typer.Argument(help="features: attack nights of the warehouse; specs, if left out")
    ] = None,
    name: Annotated[str | None, typer.Argument(help="which feature set; all, if left out")] = None,
    *,
    night: Annotated[
        list[str] | None, typer.Option("--night", help="may be repeated; the newest three, if left out")
    ] = None,
    shards: Annotated[
        bool, typer.Option("--shards", help="features: only whether nights in shards come to the same")
    ] = False,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="connectors, expectations and estimators too (imports their libraries)"),
    ] = False,
) -> None:
    """Check every source, feature set and model, without starting anything; or features for leaks.

    The warehouse of the second is NIGHTSHIFT_WAREHOUSE_URL, or the local stack's.
    """
    with clear_errors():
        if what is Checked.features:
            _check_features(name, night or [], shards=shards)
        else:
            _check_specs(deep=deep)


def _check_features(name: str | None, nights: list[str], *, shards: bool) -> None:
    from nightshift.calendar import parse_date
    from nightshift.cli import leak_check
    from nightshift.specs import load_project

    dates = [parse_date(night, "--night") for night in nights]
    for feature_set in [name] if name else load_project().require_sound().feature_sets:
        leak_check.run(feature_set, dates, console, shards=shards)


def _check_specs(*, deep: bool) -> None:
    from nightshift.specs import load_project

    project = load_project().require_sound()
    if deep:
        from nightshift import collect, train
        from nightshift.cli import clock_check
        from nightshift.validate import check_expectations

        clock_check.run(project)
        for source in project.sources.values():
            collect.check(source, project.calendar.zone)
            check_expectations(source)
        for model in project.models.values():
            train.check(model, project.own)
        from nightshift.cli import tables

        for line in tables.compare(project):
            console.print(line, soft_wrap=True, markup=False)
    counts = {
        "sources": len(project.sources),
        "feature sets": len(project.feature_sets),
        "models": len(project.models),
    }
    console.print("Sound: " + ", ".join(f"{count} {what}" for what, count in counts.items()) + ".")


class Migrated(StrEnum):
    """Whose table `nightshift migrate` can bring in line with its spec."""

    source = "source"
    features = "features"


@app.command()
def migrate(
    what: Annotated[
        Migrated | None, typer.Argument(help="whose table; the fixed tables, if left out")
    ] = None,
    name: Annotated[str | None, typer.Argument(help="which source or feature set")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would change; change nothing")] = False,
) -> None:
    """Bring the warehouse's fixed tables up to date; or a source's or a set's table in line with its edited spec.

    Of NIGHTSHIFT_WAREHOUSE_URL, or the local stack's warehouse. A table changes as a whole, exactly, or not at all.
    """
    from nightshift.runtime import state

    with clear_errors():
        url = os.environ.get("NIGHTSHIFT_WAREHOUSE_URL") or state.load().warehouse_url
        if what is None:
            from nightshift.warehouse import migrate as bring_up_to_date

            bring_up_to_date(url)
            console.print("The warehouse is up to date.")
            return
        from nightshift.cli import tables

        done = tables.retype(url, what.value, name, dry_run=dry_run)
    console.print(*done, sep="\n", soft_wrap=True, markup=False)


class Renamed(StrEnum):
    """What `nightshift rename` can rename."""

    model = "model"
    source = "source"
    features = "features"


@app.command()
def rename(
    kind: Annotated[Renamed, typer.Argument()],
    old: Annotated[str, typer.Argument(help="the name that the history stands under")],
    new: Annotated[str, typer.Argument(help="the name that the spec's file has now")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="kept with the renaming")] = "by hand",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would move")] = False,
) -> None:
    """Move the history of a model, source or feature set to a new name. Rename its file first.

    Of NIGHTSHIFT_WAREHOUSE_URL, NIGHTSHIFT_OBJECTS and MLFLOW_TRACKING_URI, or of the local stack.
    """
    from nightshift.cli import rename as renaming

    with clear_errors():
        told = renaming.run(kind.value, old, new, reason=reason, dry_run=dry_run)
    console.print(*told, sep="\n", soft_wrap=True, markup=False)


@app.command()
def close_faults(
    features: Annotated[str, typer.Argument(help="for instance departure")],
    night: Annotated[str, typer.Argument(help="YYYY-MM-DD")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="why its rows are right; kept with the faults")],
) -> None:
    """Close the faults of a night: its rows are right, and are scored and learned like others.

    Of NIGHTSHIFT_WAREHOUSE_URL, NIGHTSHIFT_OBJECTS and MLFLOW_TRACKING_URI, or of the local stack.
    """
    from getpass import getuser

    from nightshift import stages
    from nightshift.calendar import parse_date
    from nightshift.cli import handles

    with clear_errors():
        platform = handles.platform("operate")
        closed = stages.close_faults(
            platform, features, parse_date(night, "NIGHT"), actor=f"{getuser()}, by command", reason=reason
        )
    console.print(
        f"{closed['closed']} closed. Score the night: trigger score_MODEL for it.",
        soft_wrap=True,
        markup=False,
    )


@app.command()
def reconcile(
    model: Annotated[str | None, typer.Argument(help="all models, if left out")] = None,
    *,
    grace_hours: Annotated[
        int, typer.Option("--grace-hours", min=0, help="what is younger may belong to a training that runs")
    ] = 24,
    again: Annotated[
        bool, typer.Option("--register-again", help="first register MODEL's champion, which MLflow has lost")
    ] = False,
    files: Annotated[
        Path | None,
        typer.Option("--files", help="with it: the artifacts of the champion's run, if that is gone too"),
    ] = None,
) -> None:
    """Make MLflow agree with the ledger: the alias champion, and what killed trainings left behind.

    Of the servers NIGHTSHIFT_WAREHOUSE_URL and MLFLOW_TRACKING_URI, or of the local stack.
    """
    from datetime import timedelta

    from nightshift.cli import registry_check

    if (again and model is None) or (files is not None and not again):
        raise typer.BadParameter("--register-again needs a MODEL, and --files needs --register-again")
    grace = timedelta(hours=grace_hours)
    with clear_errors():
        if again and model:  # told before what may fail after it
            console.print(registry_check.register_again(model, files), soft_wrap=True, markup=False)
        said = registry_check.run(model, grace)
    console.print(*(said or ["Registry and ledger agree."]), sep="\n", soft_wrap=True, markup=False)


@app.command()
def verify(model: Annotated[str | None, typer.Argument(help="all models, if left out")] = None) -> None:
    """Compare every row of the ledger with its seal, and the seals with their anchors in MLflow. Exit code 1: not so.

    Of the servers NIGHTSHIFT_WAREHOUSE_URL and MLFLOW_TRACKING_URI, or of the local stack.
    """
    from nightshift.cli import registry_check

    with clear_errors():
        said = registry_check.verify(model)
    console.print(*said, sep="\n", soft_wrap=True, markup=False)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="kept from backup to backup: it gets what is new")],
) -> None:
    """Back up warehouse, MLflow and Airflow as of one instant, and all files, each with its hash in a manifest.

    Of the servers and folders that the environment names (docs/runbooks.md, *Backup*), or of the local stack.
    """
    from nightshift.cli import backup as backing_up

    with clear_errors(), console.status("backing up"):
        said = backing_up.make(folder)
    console.print(*said, sep="\n", soft_wrap=True, markup=False)


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="as `nightshift backup` wrote it")],
    *,
    name: Annotated[str | None, typer.Option("--backup", help="which one; the newest, if left out")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="delete what is there first, after asking")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Restore a backup into an empty place, and verify it: ledger, hashes of files, the alias. Stop the stack first."""
    from nightshift.cli import backup as backing_up

    if replace and not yes:
        typer.confirm("Delete the warehouse, MLflow, Airflow's database and all files there?", abort=True)
    with clear_errors(), console.status("restoring"):
        said = backing_up.restore(folder, name, replace=replace)
    console.print(*said, sep="\n", soft_wrap=True, markup=False)


@app.command()
def retention(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--take-away", help="only say what would go, or take it away")
    ] = True,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="a night, YYYY-MM-DD; the newest, if left out")
    ] = None,
    servers: Annotated[
        bool, typer.Option("--servers", help="Airflow's old rows, and what is marked of MLflow, instead")
    ] = False,
) -> None:
    """Say what is older than `retention` in project.yaml keeps it, or take it away, as the DAG of that name does.

    Of NIGHTSHIFT_WAREHOUSE_URL, NIGHTSHIFT_OBJECTS and MLFLOW_TRACKING_URI, or of the local stack.
    """
    from nightshift.calendar import parse_date
    from nightshift.cli import retention as retaining

    with clear_errors():
        night = parse_date(as_of, "--as-of") if as_of else None
        said = retaining.servers(dry_run=dry_run) if servers else retaining.run(night, dry_run=dry_run)
    console.print(*said, sep="\n", soft_wrap=True, markup=False)


@app.command()
def reproduce(
    model: Annotated[str, typer.Argument(help="for instance late_arrival")],
    version: Annotated[int | None, typer.Argument(min=1, help="the champion, if left out")] = None,
    *,
    reason: Annotated[str, typer.Option("--reason", help="kept with the findings")] = "by hand",
) -> None:
    """Train a version again from its record and compare. Exit code 0 if it is equal to the bit, else 1.

    Of NIGHTSHIFT_WAREHOUSE_URL, NIGHTSHIFT_OBJECTS and MLFLOW_TRACKING_URI, or of the local stack.
    """
    from nightshift.cli import handles

    with clear_errors():
        platform = handles.platform("train")
        from nightshift import stages

        asked = stages.Try(f"command_{uuid4().hex}")
        found = stages.reproduce(platform, model, version, asked, reason=reason)
    lines = [f"{model}, version {found['version']}. {found['outcome']}", *found["different"]]
    console.print(escape("\n".join([*lines, f"Findings: {found['page']}"])), soft_wrap=True)
    raise typer.Exit(0 if found["equal"] else 1)


@app.command()
def replay(
    model: Annotated[str, typer.Argument(help="for instance late_arrival")],
    *,
    first: Annotated[
        str, typer.Option("--from", help="as of when the first champion is trained, YYYY-MM-DD")
    ],
    last: Annotated[str, typer.Option("--to", help="the last night, YYYY-MM-DD")],
    every: Annotated[int, typer.Option("--every", min=1, help="nights from candidate to candidate")] = 7,
    starts: Annotated[int, typer.Option("--starts", min=1, help="candidates to begin with, one by one")] = 4,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="key=value of the spec, as its file has it, with commas between; replayed beside it; may be repeated",
        ),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="kept with the findings")] = "by hand",
) -> None:
    """Replay retraining over past nights: what each policy would have gained. Changes no version and no night.

    Of NIGHTSHIFT_WAREHOUSE_URL, NIGHTSHIFT_OBJECTS and MLFLOW_TRACKING_URI, or of the local stack. Cut short, it goes
    on with what it has.
    """
    from rich.progress import Progress

    from nightshift.calendar import DateRange, parse_date
    from nightshift.cli import handles

    with clear_errors(), Progress(console=console, transient=True) as progress:
        nights = DateRange(parse_date(first, "--from"), parse_date(last, "--to"))
        platform = handles.platform("train")
        from nightshift import stages

        bar = progress.add_task("candidates", total=None)
        found = stages.rehearse(
            platform,
            model,
            stages.Rehearsal(nights, every, starts, tuple(changes or ())),
            stages.Try(f"command_{uuid4().hex}"),
            reason=reason,
            watch=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    left = [f"Left out. {words}" for words in found["left_out"]]
    lines = [*found["policies"], *left, found["outcome"], f"Page: {found['page']}"]
    console.print(escape("\n".join(lines)), soft_wrap=True)


@app.command()
def score(
    model: Annotated[str, typer.Argument(help="for instance late_arrival")],
    *,
    keys: Annotated[
        Path | None, typer.Option("--keys", help=".csv or .parquet with the entity's columns")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="column=value, of the entity or a feature; may be repeated"),
    ] = None,
    night: Annotated[
        str | None, typer.Option("--night", help="the newest with features, if left out")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help=".csv or .parquet; table adhoc.MODEL, if left out")
    ] = None,
) -> None:
    """Have the champion score given entities of a night. The nightly predictions stay as they are.

    Of NIGHTSHIFT_WAREHOUSE_URL, NIGHTSHIFT_OBJECTS and MLFLOW_TRACKING_URI, or of the local stack.
    """
    from nightshift.cli import ask

    with clear_errors():
        told = ask.run(model, keys=keys, where=where or [], night=night, output=output)
    console.print(escape("\n".join(told)), soft_wrap=True)


@app.command()
def report(
    model: Annotated[str, typer.Argument(help="for instance late_arrival")],
    *,
    version: Annotated[int | None, typer.Option("--version", min=1, help="the newest, if left out")] = None,
    against: Annotated[str, typer.Option("--against", help="champion, or a version's number")] = "champion",
) -> None:
    """Print Markdown for a pull request: a version against another, scored now on the same frozen holdout.

    Of NIGHTSHIFT_WAREHOUSE_URL, NIGHTSHIFT_OBJECTS and MLFLOW_TRACKING_URI, or of the local stack.
    """
    from nightshift.cli import handles

    if against != "champion" and not re.fullmatch(r"[1-9][0-9]{0,8}", against):
        raise typer.BadParameter("expected 'champion' or a version's number", param_hint="--against")
    with clear_errors():
        platform = handles.platform("reader")
        from nightshift import stages

        other = None if against == "champion" else int(against)
        typer.echo(stages.compare_versions(platform, model, version, other), nl=False)


@app.command()
def demo() -> None:
    """Run the project's demo, if it brings one. The example's closes the loop on real flights."""
    from nightshift.cli import display
    from nightshift.runtime import components, control

    began = time.monotonic()
    with clear_errors():
        run = components.extension().demo
        if run is None:
            raise RequestError("this project brings no demo: the Extension that project.yaml names has none")
        with display.progress(console) as watch:
            runtime, _ = control.up(watch)
        run(runtime, time.monotonic() - began)


@app.command()
def sql(
    statement: Annotated[str, typer.Argument(help="for instance 'SELECT * FROM catalog.batches'")],
    *,
    whole: Annotated[
        bool, typer.Option("--whole", help="fold nothing: a row is a line, however wide")
    ] = False,
) -> None:
    """Ask the local stack's warehouse, with psql. Wide cells are folded to the width of the terminal."""
    from nightshift.runtime import control, postgres

    with clear_errors():
        raise typer.Exit(postgres.ask(control.running().warehouse_as("reader"), statement, whole=whole))


@app.command()
def trigger(  # noqa: PLR0913 a command's options are its arguments
    dag_id: Annotated[str, typer.Argument(help="for instance collect_weather")],
    *,
    first: Annotated[str | None, typer.Option("--from", help="the batch date, YYYY-MM-DD")] = None,
    last: Annotated[str | None, typer.Option("--to", help="the last one of a range")] = None,
    leave: Annotated[bool, typer.Option("--leave", help="wake nothing that follows")] = False,
    as_of: Annotated[str | None, typer.Option("--as-of", help="train: on what this night knew")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="any parameter, as KEY=VALUE")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="kept with what the run changes")] = None,
    waits: Annotated[bool, typer.Option("--wait/--no-wait", help="wait for the run's end")] = True,
    until: Annotated[
        str | None, typer.Option("--until", help="wait for this DAG too, which each night wakes")
    ] = None,
) -> None:
    """Start a run on the local stack. Exit code 1 if it fails, with the end of the failed task's log."""
    from nightshift.cli.trigger import start

    began = time.monotonic()
    options = {"batch_date": first, "until": last, "as_of": as_of, "reason": reason}
    options |= {"downstream": "leave"} if leave else {}

    def tell(news: str) -> None:
        console.print(f"{time.monotonic() - began:5.1f} s  {escape(news)}", soft_wrap=True)

    with clear_errors():
        start(dag_id, options, settings or [], waits=waits, until=until, tell=tell)


@app.command("import")
def import_(
    model: Annotated[str, typer.Argument(help="for instance late_arrival")],
    file: Annotated[Path, typer.Argument(help="a fitted pipeline, as skops.io.dump wrote it")],
    *,
    trained_until: Annotated[
        str, typer.Option("--trained-until", help="the last day it was trained on, YYYY-MM-DD")
    ],
    as_of: Annotated[str, typer.Option("--as-of", help="judge it on what this night knew")],
    reason: Annotated[str | None, typer.Option("--reason", help="kept with the version")] = None,
    waits: Annotated[bool, typer.Option("--wait/--no-wait", help="wait for the run's end")] = True,
    starts: Annotated[
        bool, typer.Option("--start/--receive-only", help="start train_MODEL, or print what its form wants")
    ] = True,
) -> None:
    """Bring a fitted model: it becomes a challenger, and goes through the gates of `train_MODEL` on later days.

    It is received into NIGHTSHIFT_OBJECTS, or the local stack's store; the training starts on the local stack.
    """
    from nightshift.cli import handles

    with clear_errors():
        content = _read(file)
        platform = handles.platform("reader")
        from nightshift import stages

        received = stages.receive(platform, model, content)
    console.print(f"received {file.name}, SHA-256 {received}", soft_wrap=True, markup=False)
    settings = [f"imported={received}", f"trained_until={trained_until}"]
    if not starts:
        console.print(*settings, f"as_of={as_of}", sep="\n", markup=False)
        return
    trigger(
        f"train_{model}",
        as_of=as_of,
        settings=settings,
        reason=reason or f"import of {file.name}",
        waits=waits,
    )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise RequestError(f"{file}: cannot be read: {error.strerror}") from error
