"""Look, guess, write, and check what was written: a draft that is not sound is not left behind."""

from pathlib import Path
from typing import Any

from nightshift.calendar import parse_date
from nightshift.collect import connection_of
from nightshift.errors import RequestError, SpecError, did_you_mean
from nightshift.local.scaffold import features as feature_module
from nightshift.local.scaffold import inference, look, model, source
from nightshift.specs import Project, Source, load_project
from nightshift.specs.parts import build
from nightshift.specs.project import INCLUDE
from nightshift.validate import check_expectations, validate_batches


def new_source(
    name: str, connector: dict[str, Any], night: str | None, *, include: Path = INCLUDE
) -> tuple[Path, inference.Inferred]:
    """Look at an upstream and write its spec; return the file and what was found.

    Raises:
        NightshiftError: nothing is delivered, or what came does not fit a spec; no file is written then.
    """
    project = load_project(include)
    path = _free(include / "sources" / f"{name}.yaml")
    placeholder = {"owner": "x", "description": "x", "columns": {"x": {"type": "string"}}, "key": ["x"]}
    asked = _spec(name, {**placeholder, "connector": connector})
    where = connection_of(asked, look.find_connection, include.parent)
    batches = look.look(asked, where, project.calendar, parse_date(night, "--night") if night else None)
    cutoffs = {day: project.calendar.cutoff(day) for day in batches}
    found = inference.infer(batches, cutoffs, text_is_all=connector.get("format") == "csv")
    text = source.draft(connector, found, owner=project.settings.owner, description=_what(connector))
    written = _write(path, text, include).source(name)
    try:
        check_expectations(written)
        validate_batches(written, batches).require_passed()
    except Exception:
        path.unlink()
        raise
    return path, found


def new_features(name: str, sources: list[str], entity: list[str], *, include: Path = INCLUDE) -> Path:
    """Write a feature module from the specs of its sources; return the file."""
    project = load_project(include)
    path = _free(include / "features" / f"{name}.py")
    specs = [project.source(each) for each in sources]
    text = feature_module.draft(name, specs, owner=project.settings.owner, entity=entity)
    _write(path, text, include)
    return path


def new_model(name: str, ask: model.Ask, source_name: str, *, include: Path = INCLUDE) -> Path:
    """Write a model's spec from what its target looks like; return the file."""
    project = load_project(include)
    path = _free(include / "models" / f"{name}.yaml")
    project.feature_set(ask.features)
    spec = project.source(source_name)
    if ask.column not in spec.columns:
        raise RequestError(
            f"--target: source '{source_name}' has no column '{ask.column}'{did_you_mean(ask.column, spec.columns)}"
        )
    seen = look.in_warehouse(spec, ask.column)
    _write(path, model.draft(ask, spec, seen, owner=project.settings.owner), include)
    return path


def _spec(name: str, content: dict[str, Any]) -> Source:
    return build(Source, {**content, "name": name}, Path(f"source '{name}'"))


def _what(connector: dict[str, Any]) -> str:
    place = connector.get("folder") or connector.get("connection")
    return {
        "files": f"Rows of {connector.get('path')} below {place}.",
        "sql": f"Rows of a query over the connection {place}.",
        "http": f"Rows of {connector.get('endpoint')} at the connection {place}.",
    }[connector["kind"]]


def _free(path: Path) -> Path:
    if path.exists():
        raise RequestError(
            f"{path} exists already; nothing was written. Choose another name, or edit the file"
        )
    return path


def _write(path: Path, text: str, include: Path) -> Project:
    """Write a new file and return the project with it. A draft that does not load is taken back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    project = load_project(include)
    if path in project.problems:
        path.unlink()
        raise SpecError(f"nothing was written; what was found makes no sound spec: {project.problems[path]}")
    return project
