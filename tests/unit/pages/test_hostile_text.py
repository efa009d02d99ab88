"""Whatever people and data write is text, on every page and in every Markdown."""

import re
from html.parser import HTMLParser

import pytest
from hostile_pages import ADDRESS, DOCUMENTS, PAGES, TELEPHONE

from nightshift.pages import markdown, page
from nightshift.pages.face import POLICY, SCRIPTED

SCRIPTED_PAGES = {"drift report"}
TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "section",
        "div",
        "h1",
        "h2",
        "h3",
        "h4",
        "p",
        "span",
    ),
    *("a", "ul", "li", "code", "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary"),
    *("figure", "figcaption", "svg", "path", "rect", "text"),
}


class Elements(HTMLParser):
    """All start tags of a page, with their attributes."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module", params=[*DOCUMENTS, *PAGES])
def made(request: pytest.FixtureRequest) -> tuple[str, str]:
    name = request.param
    return name, page(DOCUMENTS[name]()) if name in DOCUMENTS else PAGES[name]()


def test_it_is_text_on_the_page(made: tuple[str, str]) -> None:
    name, content = made
    own = content[content.index("<main") : content.index("</main>")] if name in SCRIPTED_PAGES else content
    elements = Elements(own).found
    assert {tag for tag, _ in elements} <= TAGS
    for tag, attributes in elements:
        assert not [one for one in attributes if one.startswith("on") or one in {"src", "action", "style"}], (
            tag
        )
        assert not (attributes.get("href") or "").startswith("javascript"), tag
    assert "&lt;script&gt;alert(1)" in own


def test_no_address_and_no_telephone_number_of_the_data_is_shown(made: tuple[str, str]) -> None:
    assert ADDRESS not in made[1]
    assert TELEPHONE not in made[1]


def test_one_policy_holds_for_all_pages_and_one_of_them_draws_by_script(made: tuple[str, str]) -> None:
    name, content = made
    policies = [
        attributes["content"] for _, attributes in Elements(content).found if attributes.get("http-equiv")
    ]
    assert policies[0] == (SCRIPTED if name in SCRIPTED_PAGES else POLICY)
    assert content.index("Content-Security-Policy") < content.index("<style")


@pytest.mark.parametrize("name", list(DOCUMENTS))
def test_it_is_text_in_markdown(name: str) -> None:
    shown = markdown(DOCUMENTS[name]())
    # What a renderer would make a tag of: our own links stand in angle brackets.
    assert not re.search(r"<(?!https?://|\.\./|#|[a-z]+\.[a-z.]+>)", shown)
    targets = re.findall(r"(?<!\\)\]\(<?([^)>]*)", shown)
    assert not [target for target in targets if target.startswith("javascript")]
    assert not re.search(r"(?<!\\)[`*](?!\*)", re.sub(r"(?m)^\*\*.*\*\*$", "", shown))
    assert ADDRESS not in shown
    assert TELEPHONE not in shown
    columns = None
    for line in shown.splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
        assert columns is None or cells in (columns, None), f"a cell broke its table: {line[:200]}"
        columns = cells
