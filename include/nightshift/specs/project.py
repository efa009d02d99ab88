"""The project: everything under ``include/`` that the user edits, loaded and checked against itself."""

import re
from collections.abc import Callable, Iterable
from datetime import date, time
from functools import cached_property
from pathlib import Path
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from nightshift.calendar import Calendar
from nightshift.errors import NightshiftError, SpecError, did_you_mean
from nightshift.root import INCLUDE
from nightshift.specs.alerts import Alerts
from nightshift.specs.derived import Named, collisions
from nightshift.specs.dialect import Zone
from nightshift.specs.features import FeatureSet, Shards, load_feature_set
from nightshift.specs.ignored import PATTERNS, PROJECT, ignored
from nightshift.specs.leaks import check_target_comes_later, check_target_is_no_feature
from nightshift.specs.model import SCORES, DottedPath, Encoding, MinimumScore, Model
from nightshift.specs.own import Own, refused
from nightshift.specs.parts import Spec, Tag, build, read_yaml
from nightshift.specs.retention import Retention
from nightshift.specs.source import Source
from nightshift.specs.tables import NO_CLASS
from nightshift.specs.target import Target, class_column

S = TypeVar("S", Source, Model, FeatureSet)
# Far enough from either end of what a date can be: look-backs and label delays are added to it.
Night = Annotated[date, Field(ge=date(1900, 1, 1), le=date(2200, 12, 31))]
# How a spec that stands on another one says that it is the other's file that is to be mended.
SAYS_WHY = "does not load: {path} says why; mend that first"
COMPONENTS = r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
CONNECTION = r"^[A-Za-z0-9_.-]{1,200}\z"
ONCE_A_DAY = re.compile(r"[0-5]?[0-9][ \t]+(?:[01]?[0-9]|2[0-3])(?:[ \t]+\*){3}")


class Settings(Spec):
    """``include/project.yaml``."""

    timezone: Zone = "UTC"
    # When a night starts, in that time zone. The cut-off is midnight there.
    cron: str = "30 0 * * *"
    first_night: Night
    last_night: Night | None = None
    owner: Tag = "nightshift"
    # Classes and functions that models may be made of, beyond the engine's list: their code is run.
    allowed_types: list[DottedPath] = []
    # What the local stack has beside the engine's own servers. Nothing reads it in production.
    components: Annotated[str, Field(pattern=COMPONENTS)] | None = None
    # The Airflow connection of Apache Spark, for models and feature sets with `compute: spark`.
    spark: Annotated[str, Field(pattern=CONNECTION)] | None = None
    # Who is told of what is wrong.
    alerts: Alerts = Alerts()
    # How long what the nights leave behind is kept.
    retention: Retention = Retention()

    @field_validator("allowed_types")
    @classmethod
    def _safe_types(cls, value: list[str]) -> list[str]:
        for path in value:
            why = refused(path)
            if why:
                raise ValueError(why)
        return value

    @field_validator("cron")
    @classmethod
    def _once_a_day(cls, value: str) -> str:
        if not ONCE_A_DAY.fullmatch(value.strip()):
            raise ValueError(
                f"expected 'MINUTE HOUR * * *', once a day, got {value[:60]!r}: a night is a calendar date, and each "
                "date has one; hourly, weekly and working-day nights are not supported"
            )
        return value.strip()

    @property
    def begins(self) -> time:
        """By the clock of the project, when a night begins."""
        minute, hour = map(int, self.cron.split()[:2])
        return time(hour, minute)

    @model_validator(mode="after")
    def _nights_are_in_order(self) -> "Settings":
        if self.last_night and self.last_night < self.first_night:
            raise ValueError(f"last_night: {self.last_night} lies before first_night {self.first_night}")
        return self


class Project(Spec):
    """All specs of one ``include`` folder. ``problems`` are the files that did not load, each with why."""

    folder: Path
    settings: Settings
    sources: dict[str, Source] = {}
    feature_sets: dict[str, FeatureSet] = {}
    models: dict[str, Model] = {}
    problems: dict[Path, str] = Field(default={})

    @property
    def broken(self) -> list[Path]:
        """The files that do not load of themselves, not for one that they stand on."""
        of_another = tuple(SAYS_WHY.format(path=path) for path in self.problems)
        return [path for path, why in self.problems.items() if not why.endswith(of_another)]

    @cached_property
    def calendar(self) -> Calendar:
        """The project's calendar."""
        s = self.settings
        return Calendar(zone=ZoneInfo(s.timezone), first_night=s.first_night, last_night=s.last_night)

    @property
    def own(self) -> Own:
        """What the project brings of its own to its models."""
        return Own(tuple(self.settings.allowed_types), self.folder)

    def source(self, name: str) -> Source:
        """Return a source by name. Raises SpecError with the nearest name."""
        return _named(self.sources, name, "source", self.problems)

    def feature_set(self, name: str) -> FeatureSet:
        """Return a feature set by name. Raises SpecError with the nearest name."""
        return _named(self.feature_sets, name, "feature set", self.problems)

    def model(self, name: str) -> Model:
        """Return a model by name. Raises SpecError with the nearest name."""
        return _named(self.models, name, "model", self.problems)

    def sources_of(self, model: str) -> list[str]:
        """Return the names of the sources that a model needs: the inputs of its features, and its target's."""
        spec = self.model(model)
        truth = {spec.target.source} if spec.target else set()
        return sorted({*self.feature_set(spec.features).inputs, *truth})

    def check_model(self, spec: Model) -> None:
        """Raise SpecError unless a model would stand in this project, beside what it names."""
        _check_model(spec, self.feature_sets, self.sources, self.problems)
        _check_compute(spec, self.settings)

    def require_sound(self) -> "Project":
        """Return self. Raises SpecError listing every problem if there is one."""
        if self.problems:
            raise SpecError("\n".join(self.problems.values()))
        return self


def load_project(folder: Path = INCLUDE) -> Project:
    """Return the project below ``folder``. A broken spec is set aside in ``problems``: the others stand.

    Raises:
        SpecError: ``project.yaml`` itself is missing or wrong.
    """
    settings = load_settings(folder)
    problems = {path: f"{path}: {why}" for path, why in ignored(folder)}
    sources = _load_all(folder / "sources", lambda p: _load_source(p, settings), problems)
    sets = _load_all(folder / "features", load_feature_set, problems)
    models = _load_all(folder / "models", lambda p: _load_yaml(Model, p), problems)
    sources = _named_apart(sources, [], problems, folder / "sources")
    sets = _keep_sound(
        sets, lambda s: _check_feature_set(s, sets, sources, problems), problems, folder / "features", ".py"
    )
    sets = _keep_sound(sets, lambda s: _check_compute(s, settings), problems, folder / "features", ".py")
    sets = _named_apart(sets, [*sources.values()], problems, folder / "features")
    models = _keep_sound(
        models, lambda m: _check_model(m, sets, sources, problems), problems, folder / "models", ".yaml"
    )
    models = _keep_sound(models, lambda m: _check_compute(m, settings), problems, folder / "models", ".yaml")
    models = _named_apart(models, [*sources.values(), *sets.values()], problems, folder / "models")
    _check_routes(settings, sources, models, problems, folder / PROJECT)
    return Project(
        folder=folder,
        settings=settings,
        sources=sources,
        feature_sets=sets,
        models=models,
        problems=dict(_in_writing(*each) for each in problems.items()),
    )


def _in_writing(path: Path, why: str) -> tuple[Path, str]:
    """Return a problem as a line, a database and a mail can hold it: a file's name is bytes, of any encoding."""
    name = "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in path.name
    )
    return path.with_name(name), why.replace(path.name, name)


def load_settings(folder: Path = INCLUDE) -> Settings:
    """Return ``project.yaml`` alone. Raises SpecError if it is missing or wrong."""
    return build(Settings, read_yaml(folder / PROJECT), folder / PROJECT)


def _load_yaml(kind: type[S], path: Path, **defaults: str) -> S:
    content = read_yaml(path)
    if "name" in content:
        raise SpecError(f"{path}: unknown key 'name'; the file name is the name")
    return build(kind, {**defaults, **content, "name": path.stem}, path)


def _load_source(path: Path, settings: Settings) -> Source:
    spec = _load_yaml(Source, path, timezone=settings.timezone)
    picks = getattr(spec.connector, "date_column", None)
    if picks is not None and picks not in spec.columns:
        known = did_you_mean(picks, spec.columns)
        raise SpecError(f"{path}: key 'connector.date_column': unknown column '{picks}'{known}")
    return spec


def _load_all(folder: Path, load: Callable[[Path], S], problems: dict[Path, str]) -> dict[str, S]:
    found = {}
    for path in sorted(folder.glob(PATTERNS[folder.name])):
        try:
            found[path.stem] = load(path)
        except NightshiftError as error:
            problems[path] = str(error)
    return found


def _keep_sound(
    specs: dict[str, S], check: Callable[[S], None], problems: dict[Path, str], folder: Path, suffix: str
) -> dict[str, S]:
    sound = {}
    for name, spec in specs.items():
        try:
            check(spec)
            sound[name] = spec
        except NightshiftError as error:
            path = folder / f"{name}{suffix}"
            problems[path] = f"{path}: {error}"
    return sound


def _named_apart(
    specs: dict[str, S], beside: list[Named], problems: dict[Path, str], folder: Path
) -> dict[str, S]:
    """Return ``specs`` without those whose names lead to a table or a DAG that is another's."""
    refused = {spec.name: why for spec, why in collisions(specs.values(), beside)}
    for name, why in refused.items():
        path = (folder / name).with_suffix(Path(PATTERNS[folder.name]).suffix)
        problems[path] = f"{path}: {why}"
    return {name: spec for name, spec in specs.items() if name not in refused}


def _check_feature_set(
    spec: FeatureSet, sets: dict[str, FeatureSet], sources: dict[str, Source], broken: Iterable[Path]
) -> None:
    for name in spec.inputs:
        _named(sources, name, "key 'inputs': source", broken)
    if spec.shards:
        _check_shards(spec, spec.shards, {name: sources[name] for name in spec.inputs})
    for other in sets.values():
        if other.table == spec.table and other.name != spec.name:
            raise SpecError(
                f"key 'version': {other.path} declares version {spec.version} of '{spec.set}' too; a version has one "
                f"file, and the next one is {spec.set}_v{spec.version + 1}.py"
            )


def _check_shards(spec: FeatureSet, shards: Shards, sources: dict[str, Source]) -> None:
    for name in shards.whole:
        if name not in spec.inputs:
            raise SpecError(f"key 'shards.whole': '{name}' is no input{did_you_mean(name, spec.inputs)}")
    columns = {name: source.columns for name, source in sources.items()}
    dealt = shards.deals(columns)
    if not dealt:
        raise SpecError(
            f"key 'shards': no input that is not among `whole` has all columns of `by`, {shards.by}: nothing is dealt"
        )
    for column in shards.by:
        kinds = {name: columns[name][column].type for name in dealt}
        if len({*kinds.values()}) > 1 or "float" in kinds.values():
            told = ", ".join(f"{kind} in source '{name}'" for name, kind in kinds.items())
            raise SpecError(
                f"key 'shards.by': '{column}' is {told}; expected one type, and not float: rows belong together by it"
            )


def _check_model(
    spec: Model, sets: dict[str, FeatureSet], sources: dict[str, Source], broken: Iterable[Path]
) -> None:
    feature_set = _named(sets, spec.features, "key 'features': feature set", broken)
    if spec.target:
        _check_target(spec, spec.target, feature_set, sources, broken)
    for column in spec.slices:
        _require_feature("slices", column, feature_set)
    for column, encoding in spec.encoding.items():
        _check_encoding(column, encoding, feature_set)
    _check_scores(spec)


def _check_scores(spec: Model) -> None:
    # Not by the spec itself: versions that were trained with such a score are still read.
    for number, gate in enumerate(spec.gates):
        if not isinstance(gate, MinimumScore):
            continue
        worst, best = SCORES[gate.metric]
        low, high = sorted((worst, best))
        if not low < gate.value < high:
            what = "no model" if abs(gate.value - best) < abs(gate.value - worst) else "every model"
            raise SpecError(
                f"key 'gates.{number}.value': {gate.metric} is between {low:g} and {high:g}, and {gate.value:g} is met "
                f"by {what}; give the worst that is good enough, such as what a constant scores"
            )


def _check_target(
    spec: Model, target: Target, feature_set: FeatureSet, sources: dict[str, Source], broken: Iterable[Path]
) -> None:
    source = _named(sources, target.source, "key 'target.source': source", broken)
    for column in [target.column, *feature_set.entity]:
        if column not in source.columns:
            raise SpecError(
                f"key 'target': source '{source.name}' has no column '{column}'"
                f"{did_you_mean(column, source.columns)}"
            )
    target.check_type(source.columns[target.column].type)
    check_target_is_no_feature(spec, feature_set, sources)
    check_target_comes_later(spec, feature_set, sources)
    for column in sorted(set(map(class_column, target.labels)) & set(feature_set.entity)):
        raise SpecError(
            f"key 'target.classes': '{column}' is a column of the predictions, and the entity's name too"
        )
    if NO_CLASS in feature_set.entity:
        raise SpecError(f"key 'target': '{NO_CLASS}' is a column of the labels, and the entity's name too")


def _check_compute(spec: Model | FeatureSet, settings: Settings) -> None:
    if spec.compute == "spark" and settings.spark is None:
        raise SpecError(
            "key 'compute': spark needs `spark: CONNECTION` in project.yaml, the Airflow connection of its master"
        )


def _require_feature(key: str, column: str, feature_set: FeatureSet) -> None:
    if column not in feature_set.columns:
        raise SpecError(
            f"key '{key}': feature set '{feature_set.name}' has no column '{column}'"
            f"{did_you_mean(column, feature_set.columns)}"
        )


def _check_encoding(column: str, encoding: Encoding, feature_set: FeatureSet) -> None:
    key = f"encoding.{column}"
    _require_feature(key, column, feature_set)
    kind = feature_set.columns[column]
    takes = ("string",) if encoding == "tfidf" else ("string", "integer", "boolean")
    if kind not in takes:
        raise SpecError(
            f"key '{key}': {encoding} takes {', '.join(takes)}, and '{column}' is declared {kind}. Leave it out: "
            "a number goes in as it is"
        )


def _check_routes(
    settings: Settings,
    sources: dict[str, Source],
    models: dict[str, Model],
    problems: dict[Path, str],
    path: Path,
) -> None:
    """Note a route that no alert will ever go: nobody would hear of what it is for."""
    broken = list(problems)
    for number, route in enumerate(settings.alerts.routes):
        try:
            if route.model is not None:
                _named(models, route.model, f"key 'alerts.routes.{number}.model': model", broken)
            if route.source is not None:
                _named(sources, route.source, f"key 'alerts.routes.{number}.source': source", broken)
        except SpecError as error:
            problems.setdefault(path, f"{path}: {error}")


def _named(specs: dict[str, S], name: str, what: str, broken: Iterable[Path] = ()) -> S:
    """Return a spec by name. Raises SpecError: there is none, or its own file (of ``broken``) does not load."""
    if name in specs:
        return specs[name]
    folder = "features" if what.endswith("feature set") else f"{what.rpartition(' ')[2]}s"
    for path in broken:
        if path.stem == name and path.parent.name == folder:
            raise SpecError(f"{what} '{name}' {SAYS_WHY.format(path=path)}")
    raise SpecError(f"{what} '{name}' is unknown{did_you_mean(name, specs)}")
