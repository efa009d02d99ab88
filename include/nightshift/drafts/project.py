"""`nightshift init`: an empty project that runs. What Airflow reads is copied; what the user writes is begun."""

import shutil
from datetime import date
from pathlib import Path

from nightshift.errors import RequestError
from nightshift.root import ENGINE
from nightshift.specs.derived import ROLES, login_of
from nightshift.specs.parts import build
from nightshift.specs.project import Settings

# Beside the engine in a checkout and in the image.
WIRING = ("dags", "plugins", "include/airflow_local_settings.py")
PROJECT = """\
# The whole project. Nights are calendar dates in this time zone; the cut-off is midnight there.
timezone: {timezone}
# When a night starts, in that time zone.
cron: "30 0 * * *"
# The earliest night that can be collected.
first_night: {first_night}
{last}owner: nightshift
"""
LAST = """\
# The last one: nothing starts by itself after it.
last_night: {last_night}
"""
LOGIN = """\
    - conn_id: warehouse_{role}
      conn_type: postgres
      conn_host: postgres
      conn_port: 5432
      conn_schema: warehouse
      conn_login: {login}
      conn_password: ""
"""
SETTINGS = """\
# Connections, pools and variables, in the format of the Astro CLI. No secrets here: passwords stay empty.
# `nightshift up` lays its own ports and generated passwords over `warehouse_...` and `mlflow`. Add your upstreams.
airflow:
  connections:
    # The warehouse, one login a kind of stage: each may do what its statements do, and owns nothing.
{logins}\
    - conn_id: mlflow # tracking server and model registry
      conn_type: http
      conn_host: mlflow
      conn_port: 5000
      conn_schema: http
  pools:
    - pool_name: training
      pool_slot: 1
      pool_description: Fitting and tuning, one at a time, so that training never starves the night's scoring
    - pool_name: publishing
      pool_slot: 1 # never more: two sources announcing a night at once lose it
      pool_description: Announcements of new partitions, one at a time, so that no night is lost
    - pool_name: alerts
      pool_slot: 1
      pool_description: Looking for alerts and sending them, one at a time
  variables: []
"""
LOGINS = "".join(LOGIN.format(role=role, login=login_of(role)) for role in ROLES)
FILES = {
    "airflow_settings.yaml": SETTINGS.format(logins=LOGINS),
    ".gitignore": ".nightshift/\n.venv/\n__pycache__/\n",
}


def new_project(
    folder: Path,
    *,
    timezone: str,
    first_night: date,
    last_night: date | None = None,
    wiring: Path = ENGINE.parent,
) -> Path:
    """Write an empty project into ``folder`` and return its ``project.yaml``.

    Raises:
        RequestError: ``folder`` holds something already, or what Airflow reads is not beside the engine.
        SpecError: no such time zone, or a night out of all bounds. Nothing is written then.
    """
    file = folder / "include" / "project.yaml"
    build(Settings, {"timezone": timezone, "first_night": first_night, "last_night": last_night}, file)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RequestError(f"{folder}: is there and not empty; name a folder that is new or empty")
    for name in WIRING:
        _copy(wiring / name, folder / name)
    for name in ("sources", "features", "models"):
        (folder / "include" / name).mkdir()
        (folder / "include" / name / ".gitkeep").touch()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    last = LAST.format(last_night=last_night) if last_night else ""
    file.write_text(PROJECT.format(timezone=timezone, first_night=first_night, last=last))
    return file


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    elif source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    else:
        raise RequestError(f"{source}: is not there; run `nightshift init` from a checkout of Nightshift")
