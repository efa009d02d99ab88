"""Diagrams on the site, drawn by the page itself: a hook of MkDocs that adds Mermaid, so that no other host is asked.

It is MIT, never committed: npm fetches it at a pinned version, and it is checked against a pinned hash. Without npm the
site is built all the same, and a diagram is the text that it is made of.
"""

import hashlib
import logging
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url
from pymdownx.superfences import fence_code_format

log = logging.getLogger("mkdocs.hooks.mermaid")
# The major version that Material for MkDocs speaks to.
VERSION = "11.17.2"
SHA256 = "6ad2f42c3fc26bbf9e45cbb6d11898972573ea52b33a5f4ff51952899f950ffd"
ARCHIVE = Path(sys.prefix) / f"mermaid-{VERSION}.tgz"
SCRIPT = "assets/javascripts/mermaid.min.js"
# What the site gets of the archive, and where to.
KEPT = {"package/dist/mermaid.min.js": SCRIPT, "package/LICENSE": "assets/javascripts/mermaid.LICENSE"}
LONGEST_SECONDS = 120


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Have diagrams drawn, where the script is there."""
    if not ARCHIVE.exists():
        fetch()
    if ARCHIVE.exists():
        fence = {"name": "mermaid", "class": "mermaid", "format": fence_code_format}
        config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [fence]}
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the script to the site. Raises ValueError if the archive is not the pinned one."""
    if not ARCHIVE.exists():
        return files
    if hashlib.sha256(ARCHIVE.read_bytes()).hexdigest() != SHA256:
        raise ValueError(f"{ARCHIVE}: not mermaid {VERSION} as it was published; remove the file")
    with tarfile.open(ARCHIVE) as archive:
        for name, where in KEPT.items():
            packed = archive.extractfile(name)
            files.append(File.generated(config, where, content=packed.read() if packed else b""))
    return files


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Load the script on a page that has a diagram, which is where Material for MkDocs finds it; it is large."""
    if '<pre class="mermaid">' not in output:
        return output
    address = get_relative_url(SCRIPT, page.url)
    return output.replace("</body>", f'<script src="{address}"></script></body>')


def fetch() -> None:
    """Fetch the archive; say why not."""
    npm = shutil.which("npm")
    if npm is None:
        log.info("no npm: diagrams stay text")
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", f"mermaid@{VERSION}"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, check=False, timeout=LONGEST_SECONDS
            )
        except subprocess.TimeoutExpired:
            log.info("npm: no end after %d s: diagrams stay text", LONGEST_SECONDS)
            return
        packed = Path(folder) / f"mermaid-{VERSION}.tgz"
        if done.returncode or not packed.exists():
            log.info("npm failed, diagrams stay text:\n%s", done.stderr.strip()[-1000:])
            return
        shutil.copyfile(packed, ARCHIVE)
