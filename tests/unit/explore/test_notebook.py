"""The notebook: valid by Jupyter's own schema, without outputs, and about one snapshot."""

import json

import nbformat
import pytest
from explored_nights import COLUMNS, question, rows, subject

from nightshift.explore import examine, notebook

KEY, HASH = "explorations/features_departure/" + "c" * 64 + ".parquet", "c" * 64


def built(**change: object) -> bytes:
    frame = rows(0, 300).assign(label=1.0)
    return notebook(examine(subject(**change), question(sample=200), frame), KEY, HASH)


@pytest.mark.parametrize("change", [{}, {"target": "late_arrival", "columns": {**COLUMNS, "label": "float"}}])
def test_jupyter_takes_it_for_a_notebook(change: dict) -> None:
    nbformat.validate(nbformat.reads(built(**change).decode(), as_version=4))
    content = json.loads(built(**change))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    for cell in code:
        compile("".join(cell["source"]), "cell", "exec")
    assert ('correlations["label"]' in "".join(code[-1]["source"])) == bool(change)


def test_it_says_what_it_is_about_and_markup_in_the_spec_stays_text() -> None:
    said = "".join(json.loads(built(description="<img src=x onerror=alert(1)>"))["cells"][0]["source"])
    for fact in ("2013-02-01..2013-02-28", "300, of which 200 are in the snapshot", KEY, HASH, "5" * 64):
        assert fact in said
    assert "<img" not in said


def test_the_same_exploration_is_the_same_notebook() -> None:
    assert built() == built()
