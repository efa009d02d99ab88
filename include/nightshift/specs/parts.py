"""What all specs share: the closed model, names, and reading a file into a model with good errors."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError

from nightshift.errors import SpecError, did_you_mean
from nightshift.freeform import Declared

# Names become table names, DAG ids and file names. 40: PostgreSQL ends identifiers at 63 bytes.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}\z")]
NAME = "lower-case letters, digits and _, beginning with a letter, at most 40"
# Owners and tags are tags of DAGs: with a longer one, Airflow refuses the file that declares the DAGs of all.
Tag = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,100}\z")]


def _as_on_a_clock(value: object) -> object:
    """An hour may be of one digit: 6:00."""
    return f"0{value}" if isinstance(value, str) and value[1:2] == ":" else value


# Of a day, in the project's time zone.
Hour = Annotated[
    str, BeforeValidator(_as_on_a_clock), StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\z")
]
TAGS = {"kind", "gate"}  # the keys that say which of several models a mapping is
# Where work is done: by the task itself, or by workers of Apache Spark.
Compute = Literal["here", "spark"]
ColumnType = Literal["string", "integer", "float", "boolean", "date", "timestamp"]


class Spec(BaseModel):
    """A closed, frozen model."""

    # strict: 1 is no boolean, "3" no number and 20130102 no date; no number of a spec may be infinite or NaN.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


S = TypeVar("S", bound=Spec)


def read_yaml(path: Path) -> Declared:
    """Return the mapping in a YAML file.

    Raises:
        SpecError: the file is missing, not YAML, has a key twice, or is not a mapping.
    """
    try:
        content = read_value(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        near = [other.name for other in path.parent.glob("*") if other.stem.lower() == path.stem]
        found = f"; '{near[0]}' is there: rename it" if near else ""
        raise SpecError(f"{path}: no such file{found}") from error
    except ValueError as error:
        raise SpecError(f"{path}: not valid YAML: {error}") from error
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from error
    if not isinstance(content, dict):
        raise SpecError(f"{path}: expected a mapping of keys, got {type(content).__name__}")
    return content


def read_value(text: str) -> Any:
    """Return what a YAML text says, by the rules of specs. Raises ValueError if it is none, or has a key twice."""
    try:
        return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 a SafeLoader
    except (yaml.YAMLError, TypeError, RecursionError) as error:
        # TypeError, and ValueError: PyYAML lets them out for a list as a key, and for 2013-02-30.
        raise ValueError(str(error)) from error


def build(kind: type[S], content: Declared, path: Path) -> S:
    """Return ``content`` as a spec.

    Raises:
        SpecError: one line a mistake, each naming the file, the key and what was expected.
    """
    unstorable = [f"{path}: key '{where}': {what}" for where, what in _unstorable(content)]
    if unstorable:
        raise SpecError("\n".join(unstorable))
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        lines = [_explain(kind, detail) for detail in error.errors()]
        raise SpecError("\n".join(f"{path}: {line}" for line in dict.fromkeys(lines))) from error


def _unstorable(content: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place of each text that neither PostgreSQL nor a page can hold."""
    if isinstance(content, dict | list):
        parts = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in parts:
            yield from _unstorable(value, f"{where}.{key}".lstrip("."))
    elif isinstance(content, str) and "\0" in content:
        yield where, "holds a NUL"
    elif isinstance(content, str) and any(0xD800 <= ord(letter) <= 0xDFFF for letter in content):
        yield where, "holds half of a surrogate pair"


def _explain(kind: type[BaseModel], detail: Any) -> str:
    models, parts = _at(kind, detail["loc"])
    where = ".".join(parts)
    if detail["type"] == "extra_forbidden":
        return f"unknown key '{where}'{did_you_mean(parts[-1], {n for m in models for n in m.model_fields})}"
    if detail["type"] == "missing":
        return f"key '{where}' is missing"
    if parts[-1:] in (["[key]"], ["name"]):
        return _explain_name(parts, detail)
    if detail["type"].startswith("union_tag"):
        return _explain_tag(where, detail)
    message = detail["msg"].removeprefix("Value error, ")
    given = repr(detail["input"])
    shown = "" if detail["type"] == "value_error" else f", got {given[:60]}"
    return f"key '{where}': {message}{shown}" if where else message


def _explain_name(parts: list[str], detail: Any) -> str:
    """Return what is wrong with a key of a mapping, or with the name of the file."""
    if parts == ["name"]:
        return f"the file's name is no name: {NAME}"
    where, given = ".".join(parts[:-2]), repr(detail["input"])[:60]
    if not isinstance(detail["input"], str):
        return f"key '{where}': {given} is no text; write it in quotes"
    return f"key '{where}': {given} is no name: {NAME}"


def _explain_tag(where: str, detail: Any) -> str:
    key = f"{where}.{detail['ctx']['discriminator'].strip(chr(39))}"
    if detail["type"] == "union_tag_not_found":
        return f"key '{key}' is missing"
    expected = detail["ctx"]["expected_tags"]
    return (
        f"key '{key}': expected one of {expected.replace(chr(39), '')}, got '{detail['ctx']['tag'][:60]}'"
        f"{did_you_mean(detail['ctx']['tag'][:60], expected.replace(chr(39), '').split(', '))}"
    )


def _at(kind: type[BaseModel], location: tuple[Any, ...]) -> tuple[list[type[BaseModel]], list[str]]:
    """Return the models that may be meant where the last part is, and the location as it is written in the file.

    Pydantic's has one part more where a key (``kind``, ``gate``) says which of several models a mapping is.
    """
    models: list[type[BaseModel]] = [kind]
    written: list[str] = []
    for n, part in enumerate(location):
        tagged = [
            m for m in models if part in {m.model_fields[t].default for t in TAGS & m.model_fields.keys()}
        ]
        if tagged:
            models = tagged
            continue
        written.append(str(part))
        fields = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        if n < len(location) - 1:
            models = [found for annotation in fields for found in _models_in(annotation)] or models
    return models, written


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models_in(part)]


# libyaml where it is: seven DAG files read every spec each time they are parsed.
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeys(_Safe):
    """A safe loader that refuses a key given twice: the second would silently win. Numbers are plain decimals to it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, "merges (<<) are not supported; write the keys out", key_node.start_mark
                )
            key = self.construct_object(key_node, deep=deep)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key '{key}' is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


# YAML 1.1, which PyYAML reads, takes 010 for 8, 1:30 for 90 and 1_0 for 10, and 1e-3 for text. What is no plain decimal
# stays the text that it is: a number of another value than it shows would be believed.
_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_UniqueKeys.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag not in (_INT, _FLOAT)]
    for first, resolvers in _Safe.yaml_implicit_resolvers.items()
}
_WHOLE = r"[-+]?(?:0|[1-9]\d*)"
_UniqueKeys.add_implicit_resolver(_INT, re.compile(rf"{_WHOLE}\Z"), list("-+0123456789"))
_UniqueKeys.add_implicit_resolver(
    _FLOAT,
    re.compile(
        rf"(?:{_WHOLE}(?:\.\d*(?:[eE][-+]?\d+)?|[eE][-+]?\d+)|[-+]?\.\d+(?:[eE][-+]?\d+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
    ),
    list("-+.0123456789"),
)
