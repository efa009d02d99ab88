"""The documentation: every page is in the site, the reference is what the models declare, each alert has a runbook."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import browser as chromium
import jsonschema
import pytest
import yaml
from playwright.sync_api import expect, sync_playwright

from nightshift.alerts import KINDS
from nightshift.root import INCLUDE
from nightshift.specs import load_project
from nightshift.specs.project import Settings

ROOT = Path(__file__).parents[2]
DOCS, SITE = ROOT / "docs", ROOT / "site"
MOST_BYTES = 100_000


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


REFERENCE = loaded("reference")


def pages(nav: Any) -> list[str]:
    """Return the pages that a navigation names."""
    if isinstance(nav, str):
        return [nav]
    return [page for each in (nav.values() if isinstance(nav, dict) else nav) for page in pages(each)]


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page() -> None:
    named = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert len(named) == len(set(named))
    made = {f"reference/{name}.md" for name in REFERENCE.FILES}
    assert set(named) == {path.name for path in DOCS.glob("*.md")} | made


@pytest.mark.parametrize("name", REFERENCE.FILES)
def test_the_kept_schema_is_what_the_models_declare(name: str) -> None:
    kept = (DOCS / "schemas" / f"{name}.json").read_text()
    assert kept == REFERENCE.text(name), "run: .venv/bin/python docs/reference.py"


@pytest.mark.parametrize("name", REFERENCE.FILES)
def test_every_key_is_on_its_page(name: str) -> None:
    page = REFERENCE.page(name)
    made = REFERENCE.schema(name)
    for part in [made, *made["$defs"].values()]:
        for key in part["properties"]:
            assert f"| `{key}` |" in page
    assert "__" not in re.sub(r"`[^`]*`", "", page)
    for target in re.findall(r"\]\(#(\w+)\)", page):
        assert f'<a id="{target}"></a>' in page


def files() -> list[tuple[str, Path]]:
    found = [("project", INCLUDE / "project.yaml")]
    found += [("model", path) for path in sorted((INCLUDE / "models").glob("*.yaml"))]
    return found + [("source", path) for path in sorted((INCLUDE / "sources").glob("*.yaml"))]


def as_json(path: Path) -> Any:
    """Return a file as an editor reads it: dates are text."""
    return json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))


@pytest.mark.parametrize(("name", "path"), files(), ids=lambda each: getattr(each, "name", each))
def test_an_editor_finds_nothing_wrong_with_the_examples_and_something_with_a_misspelt_key(
    name: str, path: Path
) -> None:
    checker = jsonschema.Draft202012Validator(REFERENCE.schema(name))
    content = as_json(path)
    assert [error.message for error in checker.iter_errors(content)] == []
    assert any("ownr" in error.message for error in checker.iter_errors({**content, "ownr": "x"}))


RECEIVERS: list[tuple[dict[str, Any], bool]] = [
    ({"kind": "slack", "connection": "chat"}, True),
    ({"kind": "smtp", "connection": "mail", "to": ["a@b.org"]}, True),
    ({"kind": "smtp", "connection": "mail", "to": []}, False),
    ({"kind": "pager", "connection": "chat"}, False),
    ({"kind": "slack", "connection": "chat", "channel": "x"}, False),
]


@pytest.mark.parametrize(("receiver", "fits"), RECEIVERS)
def test_receivers_of_alerts_are_checked_too(receiver: dict[str, Any], fits: bool) -> None:
    checker = jsonschema.Draft202012Validator(REFERENCE.schema("project"))
    content = {"first_night": "2013-01-02", "alerts": {"receivers": {"ours": receiver}}}
    assert checker.is_valid(content) is fits
    assert _loads({**content, "first_night": load_project().settings.first_night}) is fits


def _loads(content: dict[str, Any]) -> bool:
    try:
        Settings.model_validate(content)
    except ValueError:
        return False
    return True


def test_each_alert_leads_to_its_runbook() -> None:
    told, runbooks = (DOCS / "alerts.md").read_text(), (DOCS / "runbooks.md").read_text()
    for kind in KINDS:
        anchor = f"alert-{kind.replace('_', '-')}"
        assert f"[`{kind}`](runbooks.md#{anchor})" in told
        assert f'<a id="{anchor}"></a>' in runbooks


def test_the_site_asks_no_other_host() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert settings["theme"]["font"] is False
    assert settings["strict"] is True
    assert not {"extra_javascript", "extra_css"} & settings.keys()
    lock = (ROOT / "requirements" / "docs.lock").read_text()
    assert "://" not in lock
    assert "--hash=sha256:" in lock


@pytest.mark.browser
@pytest.mark.timeout(300)
def test_diagrams_are_drawn_and_ask_no_other_host() -> None:
    pages = [path for path in DOCS.glob("*.md") if "```mermaid" in path.read_text()]
    assert pages
    path = chromium.find()
    if path is None or not (SITE / "assets" / "javascripts" / "mermaid.min.js").exists():
        pytest.skip("no Chromium, or no site with diagrams: make docs, with npm")
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.on("request", lambda request: asked.append(request.url))
        for each in pages:
            page.goto((SITE / f"{each.stem}.html").as_uri())
            diagrams = page.locator("div.mermaid")
            expect(diagrams).to_have_count(each.read_text().count("```mermaid"))
            for diagram in diagrams.all():
                box = diagram.bounding_box()
                assert box
                assert box["height"] > 100
                assert box["x"] + box["width"] <= 390
        browser.close()
    assert all(address.startswith("file:") for address in asked), asked


def test_each_picture_is_shown_and_those_of_the_script_are_small() -> None:
    told = "".join(path.read_text() for path in [*DOCS.glob("*.md"), ROOT / "README.md"])
    shown = set(re.findall(r"images/([\w-]+\.png)", told))
    assert shown == {path.name for path in (DOCS / "images").glob("*.png")}
    taken = {f"{name}.png" for name in loaded("pictures").PICTURES}
    assert taken <= shown
    assert max((DOCS / "images" / name).stat().st_size for name in taken) <= MOST_BYTES
