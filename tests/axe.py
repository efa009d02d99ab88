"""Find axe-core, which finds what people with other eyes and hands cannot use; or fetch it. Always exits 0.

It is MPL-2.0 and for tests only: never committed, fetched by npm at a pinned version and checked against a pinned hash.
Missing, it is not this script's failure: the test that needs it is skipped without it, and fails where CI is set.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "4.14.1"
SHA256 = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"
ARCHIVE = Path(__file__).parents[1] / ".venv" / f"axe-core-{VERSION}.tgz"
LONGEST_SECONDS = 120


def source() -> str | None:
    """Return the script, or None. Raises ValueError if the file is not the pinned one."""
    if not ARCHIVE.exists():
        return None
    if hashlib.sha256(ARCHIVE.read_bytes()).hexdigest() != SHA256:
        raise ValueError(f"{ARCHIVE}: not axe-core {VERSION} as it was published; remove the file")
    with tarfile.open(ARCHIVE) as archive:
        script = archive.extractfile("package/axe.min.js")
        return script.read().decode() if script else None


def fetch() -> None:
    """Fetch the archive; print why if that fails."""
    npm = shutil.which("npm")
    if npm is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", f"axe-core@{VERSION}"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, check=False, timeout=LONGEST_SECONDS
            )
        except subprocess.TimeoutExpired:
            print(f"axe-core: npm: no end after {LONGEST_SECONDS} s")
            return
        packed = Path(folder) / f"axe-core-{VERSION}.tgz"
        if done.returncode or not packed.exists():
            print(f"axe-core: npm failed:\n{done.stderr.strip()[-1000:]}")
            return
        shutil.copyfile(packed, ARCHIVE)


def main() -> int:
    """Say whether it is there, after fetching it where that is possible."""
    if not ARCHIVE.exists():
        fetch()
    print(f"axe-core: {VERSION if source() else 'none; its test needs npm'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
