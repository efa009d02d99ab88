"""What looks like a spec and is none: nothing may be left out without a word."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

PATTERNS = {"sources": "*.yaml", "features": "[!_]*.py", "models": "*.yaml"}
PROJECT = "project.yaml"
YAML = re.compile(r".*\.ya?ml", re.IGNORECASE)
# What may lie beside specs: folders of tools, and in features/ the modules that they share (_shared.py).
BESIDE = re.compile(r"README.*|\.gitkeep|\.gitignore|\.DS_Store|__pycache__|__init__\.py", re.IGNORECASE)


def ignored(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file or folder below ``include/`` that may be meant as a spec, and why nothing reads it."""
    for part, pattern in PATTERNS.items():
        for path in sorted((folder / part).glob("*")):
            if not path.match(pattern) and not _may_lie_beside(path, part):
                yield path, _why(path, part)
    for path in sorted(folder.glob("*")):
        meant = None if path.name in PATTERNS else _meant(path)
        if meant:
            yield path, f"nothing reads it; expected {folder / meant}"


def _may_lie_beside(path: Path, part: str) -> bool:
    of_a_tool = path.name.startswith(".") and path.is_dir()
    return of_a_tool or bool(BESIDE.fullmatch(path.name)) or (part == "features" and path.name[0] == "_")


def _why(path: Path, part: str) -> str:
    suffix = Path(PATTERNS[part]).suffix
    if path.is_dir():
        return f"a folder, and nothing reads it; specs lie in {part}/ itself: move them there"
    return f"nothing reads it; a spec is {part}/NAME{suffix}: rename it, or take it away"


def _meant(path: Path) -> str | None:
    """Return what beside ``path`` it was probably meant to be."""
    if path.is_file() and YAML.fullmatch(path.name):
        return None if path.name == PROJECT else f"{PROJECT}, or sources/NAME.yaml or models/NAME.yaml"
    near = get_close_matches(path.name.lower(), PATTERNS, n=1, cutoff=0.8)
    return f"{near[0]}/" if near and path.is_dir() and _holds_specs(path) else None


def _holds_specs(folder: Path) -> bool:
    modules = (path.read_text(encoding="utf-8", errors="replace") for path in folder.glob("*.py"))
    return any(folder.glob("*.y*ml")) or any("FEATURES =" in text for text in modules)
