"""Find Chromium for the browser tests; as root on a Debian-like system, install it. Always exits 0.

A missing browser is not this script's failure: the tests that need one are skipped without it, and fail
where CI is set.
"""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LONGEST_SECONDS = 600


def find() -> str | None:
    """Return the path of a browser, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def can_install() -> bool:
    """Return whether this user may install Debian packages."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install() -> None:
    """Install the package ``chromium``; print why if that fails."""
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "-qq", "update"],
        ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", "chromium"],
    ):
        try:
            done = subprocess.run(
                command, env=quiet, capture_output=True, text=True, check=False, timeout=LONGEST_SECONDS
            )
        except subprocess.TimeoutExpired:
            print(f"browser: {' '.join(command)}: no end after {LONGEST_SECONDS} s")
            return
        if done.returncode:
            print(f"browser: {' '.join(command)} failed:\n{done.stderr.strip()[-1000:]}")
            return


def main() -> int:
    """Say which browser there is, after installing one where that is possible."""
    if find() is None and can_install():
        print("browser: installing chromium", flush=True)
        install()
    print(f"browser: {find() or 'none; install Chromium (Debian: apt-get install chromium) for its tests'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
