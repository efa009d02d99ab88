"""What the documentation tells people to ask of the warehouse can be asked, and is answered."""

import re
from collections.abc import Iterator

import pytest

from nightshift.root import ROOT
from nightshift.specs import load_project
from nightshift.warehouse import Warehouse, feature_table, prediction_table, raw_table

pytestmark = pytest.mark.integration

BLOCK = re.compile(r"^```sql\n(.*?)^```", re.MULTILINE | re.DOTALL)
# A statement within a sentence, or for `nightshift sql`.
INLINE = re.compile(r'[`"]((?:SELECT|DELETE)\b[^`"]+)[`"]')
# Not the pages on how to add something: they speak of tables that the reader makes.
FILES = [
    file for file in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if file.name[:6] != "add-a-"
]


def statements() -> Iterator[tuple[str, str]]:
    for file in FILES:
        text = file.read_text()
        blocks = [part for block in BLOCK.findall(text) for part in re.split(r";[^\n']*\n", f"{block}\n")]
        for each in (*blocks, *INLINE.findall(text)):
            if "SELECT" in each or "DELETE" in each:
                yield file.name, " ".join(re.sub(r"--[^\n]*", "", each).split())


DOCUMENTED = list(statements())


@pytest.fixture
def asked(warehouse: Warehouse) -> Warehouse:
    """Return an empty warehouse with the tables of the example."""
    project = load_project()
    tables = [*map(raw_table, project.sources.values()), *map(feature_table, project.feature_sets.values())]
    for model in project.models.values():
        tables.append(prediction_table(model, project.feature_set(model.features)))
    for table in tables:
        warehouse.ensure(table)
        if table.schema == "predictions":
            warehouse.ensure_view(table, "champion")
    return warehouse


def test_every_statement_of_the_documentation_is_one(asked: Warehouse) -> None:
    assert len(DOCUMENTED) > 40
    for file, text in DOCUMENTED:
        said = text.replace("%", "%%").replace("= ...", "= NULL")
        assert asked.execute(f"EXPLAIN {said}"), f"{file}: {text}"
