"""The reference of specs, made of their pydantic models: pages for the site, and JSON schemas for editors.

``python docs/reference.py`` writes ``docs/reference/*.md``, which the site is built with and git ignores, and
``docs/schemas/*.json``, which are kept: a test says when they are no longer what the models declare. A key's meaning is
the comment above it in the code.
"""

import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nightshift import specs
from nightshift.specs.project import Settings

FOLDER = Path(__file__).parent
# What an editor checks, by the files it is of. Feature sets are Python: `nightshift check` reads them.
FILES: dict[str, tuple[type[BaseModel], str]] = {
    "model": (specs.Model, "include/models/*.yaml"),
    "source": (specs.Source, "include/sources/*.yaml"),
    "project": (Settings, "include/project.yaml"),
}
# Which the loader fills in: the name of the file is the name.
FILLED = ("name",)
KEY = re.compile(r"^    (\w+): ")


def schema(name: str) -> dict[str, Any]:
    """Return the JSON schema of a kind of file, as editors read it."""
    model, files = FILES[name]
    made = _for_editors(model.model_json_schema(by_alias=True))
    for key in FILLED:
        made["properties"].pop(key, None)
    made["required"] = [key for key in made.get("required", []) if key not in FILLED]
    _explain(made, model)
    for part in _parts(model):
        if part.__name__ in made.get("$defs", {}):
            _explain(made["$defs"][part.__name__], part)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$comment": files, **made}


def _for_editors(value: Any) -> Any:
    """Return a schema without titles, which repeat the keys, and with patterns as JavaScript spells them."""
    if isinstance(value, list):
        return [_for_editors(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {
        key: _for_editors(each)
        for key, each in value.items()
        if not (key == "title" and isinstance(each, str))
    }
    if isinstance(made.get("pattern"), str):
        made["pattern"] = _pattern(made["pattern"])
    if "patternProperties" in made:  # a name that does not fit is a mistake, as the loader says
        made["patternProperties"] = {_pattern(key): each for key, each in made["patternProperties"].items()}
        made["additionalProperties"] = False
    return made


def _pattern(text: str) -> str:
    return text.replace(r"\z", "$").replace(r"\A", "^")


def _parts(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield the models that our specs are made of."""
    seen: list[type[BaseModel]] = []
    waiting = [model, *(kind for module in _modules() for kind in vars(module).values())]
    for kind in waiting:
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
            seen.append(kind)
            yield kind


def _modules() -> list[Any]:
    return [module for name, module in sys.modules.items() if name.startswith("nightshift.specs.")]


def _explain(made: dict[str, Any], model: type[BaseModel]) -> None:
    """Add what the code says above a key to what editors show of it."""
    for key, words in comments(model).items():
        if key in made["properties"]:
            made["properties"][key] = {"description": words, **made["properties"][key]}


def comments(model: type[BaseModel]) -> dict[str, str]:
    """Return the comment above each key of a model, where there is one."""
    found: dict[str, str] = {}
    words: list[str] = []
    for line in inspect.getsource(model).splitlines():
        key = KEY.match(line)
        if line.startswith("    # "):
            words.append(line.removeprefix("    # ").strip())
            continue
        if key and words:
            field = model.model_fields.get(key[1])
            found[(field.alias if field else None) or key[1]] = " ".join(words)
        words = []
    return found


def page(name: str) -> str:
    """Return the page of a kind of file, as Markdown: its keys, then those of each part."""
    made, (_, files) = schema(name), FILES[name]
    lines = [
        f"# Reference: `{files}`",
        "",
        made.get("description", "").replace("``", "`"),
        "",
        _about(name),
        "",
        *_table(made),
    ]
    for part, content in sorted(made.get("$defs", {}).items()):
        about = content.get("description", "").replace("``", "`")
        lines += ["", f'<a id="{part.lower()}"></a>', "", f"## {part}", "", about, "", *_table(content)]
    return "\n".join(lines) + "\n"


def _about(name: str) -> str:
    meant = "Every key that there is; another one is refused. What they are for: [Configuration](../configuration.md)."
    return f"{meant} For editors: [{name}.json](../schemas/{name}.json) ([how](../index.md#then))."


def _table(made: dict[str, Any]) -> list[str]:
    needed = made.get("required", [])
    rows = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for key, content in made.get("properties", {}).items():
        default = "required" if key in needed else _default(content)
        rows.append(f"| `{key}` | {_kind(content)} | {default} | {_safe(content.get('description', ''))} |")
    return rows


def _default(content: dict[str, Any]) -> str:
    value = content.get("default")
    return "-" if value in (None, {}) or isinstance(value, dict) else f"`{_safe(json.dumps(value))}`"


def _safe(words: str) -> str:
    return words.replace("|", "\\|").replace("``", "`").replace("<", "&lt;").replace("\n", " ")


def _kind(content: dict[str, Any]) -> str:
    """Return what a key takes, in words."""
    if "$ref" in content:
        part = content["$ref"].rpartition("/")[2]
        return f"[{part}](#{part.lower()})"
    if "const" in content or "enum" in content:
        return ", ".join(f"`{_safe(str(each))}`" for each in content.get("enum", [content.get("const")]))
    for several in ("anyOf", "oneOf"):
        if several in content:
            return " or ".join(_kind(each) for each in content[several] if each.get("type") != "null")
    return _plain(content)


def _plain(content: dict[str, Any]) -> str:
    kind = content.get("type", "any")
    if kind == "array":
        return f"list of {_kind(content.get('items', {}))}"
    if kind == "object":
        inner = content.get("additionalProperties") or next(
            iter(content.get("patternProperties", {}).values()), None
        )
        return f"mapping to {_kind(inner)}" if isinstance(inner, dict) else "mapping"
    words = {"string": content.get("format", "text"), "number": "number", "integer": "whole number"}
    return words.get(kind, kind) + _limits(content)


def _limits(content: dict[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {content[key]:g}" for key, sign in signs.items() if key in content]
    return (" " + ", ".join(found)).rstrip().replace("<", "&lt;")


def write(folder: Path = FOLDER) -> None:
    """Write pages and schemas."""
    for name in FILES:
        (folder / "reference").mkdir(exist_ok=True)
        (folder / "schemas").mkdir(exist_ok=True)
        (folder / "reference" / f"{name}.md").write_text(page(name))
        (folder / "schemas" / f"{name}.json").write_text(text(name))


def text(name: str) -> str:
    """Return a schema as its file holds it."""
    return json.dumps(schema(name), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write()
