"""How the stack is shown: its start as it goes on, its components with what they hold, its doors."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from nightshift import processes
from nightshift.runtime import components, control, health
from nightshift.runtime.state import Record, Runtime, Snapshot


@contextmanager
def progress(console: Console) -> Iterator[control.Watcher]:
    """Yield a function that draws the state: in place on a terminal, as lines where there is none."""
    began = time.monotonic()
    order = list(components.table())
    if not console.is_terminal:
        seen: set[str] = set()

        def list_news(snapshot: Snapshot) -> None:
            for name in sorted(set(snapshot.well) - seen, key=order.index):
                console.print(f"{time.monotonic() - began:5.1f} s  {name}")
            seen.update(snapshot.well)

        yield list_news
        return
    with Live(console=console, transient=True) as live:
        yield lambda snapshot: live.update(_steps(snapshot, time.monotonic() - began))


def _steps(snapshot: Snapshot, seconds: float) -> Table:
    table = Table.grid(padding=(0, 2))
    for name in components.table():
        begun = name in snapshot.components
        mark = "[green]healthy" if name in snapshot.well else "[yellow]starting" if begun else "[dim]waiting"
        table.add_row(name, mark)
    table.add_row(f"[dim]{seconds:.0f} s", "")
    return table


def verdicts(snapshot: Snapshot) -> dict[str, bool]:
    """Return whether each component is well, asked now rather than read from the supervisor's notes."""
    answers = health.examine(snapshot.runtime, snapshot.components)
    for name, record in snapshot.components.items():
        answers.setdefault(name, processes.alive(record.pid, record.started))
    names = [c.name for c in components.table().values() if c.kind != "step" or c.name in snapshot.components]
    return {name: bool(answers.get(name)) for name in names}


def table(snapshot: Snapshot, verdicts: dict[str, bool]) -> Table:
    """Return what `nightshift status` shows: a row a service."""
    shown = Table(show_footer=True, box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    held = {name: _memory(snapshot, record) for name, record in _all(snapshot).items()}
    for title in ("component", "pid", "healthy", "up for", "restarts"):
        shown.add_column(title, justify="right" if title in {"pid", "restarts"} else "left")
    shown.add_column("memory", footer=f"{sum(held.values()) >> 20} MB", justify="right")
    shown.add_column("url", no_wrap=True, min_width=21)
    urls = _urls(snapshot.runtime)
    for name, record in _all(snapshot).items():
        well = verdicts.get(name, record is not None)
        shown.add_row(
            name,
            str(record.pid) if record else "",
            "[green]yes[/]" if well else "[red]no[/]",
            _duration(time.time() - record.since) if record else "",
            str(record.restarts) if record else "",
            f"{held[name] >> 20} MB" if record else "",
            urls.get(name, ""),
        )
    return shown


def _all(snapshot: Snapshot) -> dict[str, Record | None]:
    """Return every service, running or not, and the supervisor."""
    supervisor = snapshot.supervisor if control.is_supervised(snapshot) else None
    names = [c.name for c in components.table().values() if c.kind != "step"]
    return {"supervisor": supervisor} | {name: snapshot.components.get(name) for name in names}


def _memory(snapshot: Snapshot, record: Record | None) -> int:
    if record is None:
        return 0
    others = frozenset(r.pid for r in snapshot.components.values() if r.pid != record.pid)
    return processes.memory(p.pid for p in processes.session_of(record.pid, record.started, others))


def _urls(runtime: Runtime) -> dict[str, str]:
    return {"api-server": runtime.airflow_url, "mlflow": runtime.mlflow_url, **runtime.services}


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def print_doors(console: Console, runtime: Runtime) -> None:
    """Print where people enter, and with which passwords."""
    console.print(f"  Airflow  {runtime.airflow_url}")
    console.print(f"           user admin, password {runtime.admin_password}")
    console.print(f"  MLflow   {runtime.mlflow_url}")
    console.print(f"           user {runtime.mlflow_user}, password {runtime.mlflow_password}")
    console.print(f"  State    {runtime.home} (more users: airflow-passwords.json there)")
