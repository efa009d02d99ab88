"""Folders for the files of a task while it runs. Who is killed leaves one: the next one of its kind removes it."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HELD = "held"


@contextmanager
def scratch(purpose: str, within: Path | None = None) -> Iterator[Path]:
    """Yield an empty folder ``within`` one that is there, else where temporary files are kept (``TMPDIR``).

    It is there for as long as the block runs.
    """
    prefix = f"nightshift-{purpose}-"
    for left in Path(within or tempfile.gettempdir()).glob(f"{prefix}*"):
        _remove_unless_held(left)
    with (
        # Elsewhere others may still be writing: what is done is done, and the next one removes what is left.
        tempfile.TemporaryDirectory(prefix=prefix, dir=within, ignore_cleanup_errors=bool(within)) as folder,
        (Path(folder) / f"{HELD}.new").open("w") as lock,
    ):
        # The kernel lets go of it with the process, however that ends, and also where others share the disk.
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Under its name only now: who finds it before it is locked takes the folder for one that was left.
        Path(lock.name).rename(Path(folder) / HELD)
        yield Path(folder)


def _remove_unless_held(folder: Path) -> None:
    # Without the file it is being made, or is somebody else's.
    with suppress(OSError), (folder / HELD).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
