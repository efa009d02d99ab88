"""Every log of the local runtime has an end: a file that grows too long starts again, and its last part is kept.

Components write through a descriptor that the supervisor opened for them; it appends, so a file that is cut to
nothing goes on at its beginning, and nobody has to be told. (A pipe that breaks hangs the scheduler.) What is
written between the copy and the cut, a moment, is lost.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LARGEST = 10 << 20
# What may be kept of files that are written once, a file a task or a DAG file and day.
SHARES = {"tasks": 1 << 30, "dag-files": 100 << 20}
# A disk with less than this free, in bytes and as a share, is nearly full.
LITTLE = (1 << 30, 0.05)


def bound(folder: Path) -> None:
    """Cut what has grown too long, and remove the oldest of what is above its share."""
    for file in _endless(folder):
        with suppress(OSError):  # gone meanwhile, or somebody else's
            if file.stat().st_size > LARGEST:
                _start_again(file)
    for kind, share in SHARES.items():
        _forget_oldest(folder / kind, share)


def nearly_full(*folders: Path) -> list[str]:
    """Return in words which of these folders lie on a disk that has little room left."""
    words = []
    for folder in filter(Path.exists, folders):
        disk = shutil.disk_usage(folder)
        if disk.free < LITTLE[0] and disk.free < LITTLE[1] * disk.total:
            words.append(
                f"{folder}: only {disk.free >> 20} MB of {disk.total >> 20} MB are free on this disk"
            )
    return words


def _endless(folder: Path) -> Iterator[Path]:
    """Yield the files to which something is added as long as the stack runs."""
    yield from folder.glob("*.log")
    yield from folder.glob("*.jsonl")
    yield from (file for file in _below(folder / "dag-files") if file.is_file() and not file.is_symlink())


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder. `rglob` would raise where somebody removes a folder meanwhile."""
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


def _start_again(file: Path) -> None:
    fresh = file.with_name(f"{file.name}.part")
    try:
        with file.open("rb") as old, fresh.open("wb") as copy:
            fresh.chmod(0o600)
            old.seek(max(0, os.fstat(old.fileno()).st_size - LARGEST))
            shutil.copyfileobj(old, copy)
        fresh.replace(file.with_name(f"{file.name}.1"))
    except OSError:  # a full disk has no room for a copy: then what is old goes
        fresh.unlink(missing_ok=True)
    with file.open("r+b") as again:
        again.truncate(0)


def _forget_oldest(folder: Path, share: int) -> None:
    found = []
    for file in _below(folder):
        with suppress(OSError):
            seen = file.stat()
            found += [(seen.st_mtime, seen.st_size, file)] if ".log" in file.name else []
    total = sum(size for _, size, _ in found)
    for _, size, file in sorted(found):
        if total <= share:
            return
        with suppress(OSError):
            file.unlink()
            total -= size
        for emptied in file.parents[: file.parents.index(folder)]:
            with suppress(OSError):  # others lie in it
                emptied.rmdir()
