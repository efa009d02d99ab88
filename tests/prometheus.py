"""Find Prometheus and promtool, which check deploy/metrics; on a Debian-like system, fetch them. Always exits 0.

The package is unpacked below .venv and not installed: nothing is started by it. apt checks its signature. Missing, it
is not this script's failure: the tests that need it are skipped without it. Debian has no statsd-exporter; one on the
path is used (`statsd_exporter`).
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

UNPACKED = Path(__file__).parents[1] / ".venv" / "prometheus"
LONGEST_SECONDS = 120


def find(name: str) -> str | None:
    """Return the path of ``prometheus``, ``promtool`` or ``statsd_exporter``, or None."""
    return shutil.which(name) or shutil.which(name, path=str(UNPACKED / "usr" / "bin"))


def fetch() -> None:
    """Download Debian's package and unpack it; print why if that fails."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = _run(["apt-get", "-qq", "download", "prometheus"], folder)
            if not done.returncode:
                [package] = Path(folder).glob("prometheus_*.deb")
                done = _run(["dpkg-deb", "--extract", str(package), str(UNPACKED)], folder)
        except subprocess.TimeoutExpired:
            print(f"prometheus: no end after {LONGEST_SECONDS} s")
            return
        if done.returncode:
            print(f"prometheus: {done.args[0]} failed:\n{done.stderr.strip()[-1000:]}")


def _run(command: list[str], folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=LONGEST_SECONDS
    )


def main() -> int:
    """Say which there are, after fetching them where that is possible."""
    if find("promtool") is None and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        fetch()
    print(
        f"prometheus: {find('prometheus') or 'none; its tests need it (Debian: apt-get install prometheus)'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
