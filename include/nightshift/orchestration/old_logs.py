"""Old logs of tasks and files of OpenLineage: found by the clock of their file system, where Airflow says they lie."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from airflow.configuration import conf

from nightshift.results import Taken


def clear(as_of: date, days: int | None, *, dry_run: bool) -> Taken:
    """Remove what was last written more than ``days`` days before a night; None: nothing. Return what that is.

    As of a night that has not come yet, it is as of what was written last.
    """
    found = [(file, *_seen(file)) for file in _files()]
    newest = max((at for _, at, _ in found), default=datetime.max.replace(tzinfo=UTC))
    end = min(datetime.combine(as_of, time(), UTC), newest) - timedelta(days=days or 0)
    old = [(file, size) for file, at, size in found if days is not None and at < end]
    stays = [at for _, at, _ in found if days is None or at >= end]
    for file, _ in [] if dry_run else old:
        _remove(file)
    return {
        "things": len(old),
        "bytes": sum(size for _, size in old),
        "why": [f"older than {days} days"] if old else [],
        "oldest_kept": str(min(stays).date()) if stays else None,
    }


def _files() -> Iterator[Path]:
    yield from _below(Path(conf.get("logging", "base_log_folder")))
    written = _lineage_file()
    if written is not None:
        # Not the file itself, which goes on being written: its older parts.
        yield from (file for file in written.parent.glob(f"{written.name}?*") if file.is_file())


def _below(folder: Path) -> Iterator[Path]:
    # Not `rglob`, which raises where the supervisor removes a folder meanwhile.
    for place, _, names in os.walk(folder):
        found = (Path(place, name) for name in names if ".log" in name)
        yield from (file for file in found if file.is_file() and not file.is_symlink())


def _lineage_file() -> Path | None:
    try:
        told = json.loads(conf.get("openlineage", "transport", fallback="") or "{}")
    except ValueError:
        return None
    return Path(told["log_file_path"]) if told.get("type") == "file" and "log_file_path" in told else None


def _seen(file: Path) -> tuple[datetime, int]:
    try:
        seen = file.stat()
    except FileNotFoundError:  # rotated meanwhile
        return datetime.now(UTC), 0
    return datetime.fromtimestamp(seen.st_mtime, UTC), seen.st_size


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)
    for folder in (file.parent, file.parent.parent):  # of a try's task, and of its run
        with suppress(OSError):  # others lie in it
            folder.rmdir()
