"""Kept files: every kind there is, where it lies, which of them the UI serves, and to whom. Light: the UI imports it.

A key is ``<kind>/<whose>/<rest>``. Pages and notebooks that we wrote are served, and nothing else: landed batches and
snapshots hold rows.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

NAME, HASH = r"[a-z][a-z0-9_]*", r"[0-9a-f]{64}"
NIGHTS = r"[0-9.\-]+"


@dataclass(frozen=True)
class Kind:
    """A kind of file. ``rest``: what follows kind and name, as a pattern; None: never served.

    ``dag``: whose file it is; who may not see that DAG is not shown the file. ``scripted``: the page draws by script.
    ``ends``: retention removes it; how many days it is kept says the key of its name in ``retention``. Else it is kept
    for good: cards, findings and pages of replays are small, and are what decisions are told by.
    """

    rest: str | None = None
    dag: str = ""
    scripted: bool = False
    ends: bool = False


KINDS: Mapping[str, Kind] = {
    "landed": Kind(ends=True),
    "snapshots": Kind(ends=True),
    "imports": Kind(),
    "data_docs": Kind(rf"{NAME}/{NIGHTS}\.html", "collect_{}", ends=True),
    "reports": Kind(rf"{NAME}/{NIGHTS}\.html", "monitor_{}", scripted=True, ends=True),
    "explorations": Kind(rf"{NAME}/{HASH}\.(html|ipynb)", "explore_{}", ends=True),
    "reproductions": Kind(rf"{NAME}/{HASH}\.html", "reproduce_{}"),
    "replays": Kind(rf"{NAME}/{HASH}\.html", "replay_policies_{}"),
    "cards": Kind(rf"{NAME}/[0-9]{{1,9}}/(card\.html|card\.md|sbom\.cdx\.json)", "train_{}"),
    "catalog": Kind(r"index\.html", "catalog"),
    # Whatever a DAG has to show that needs no kind of its own: whose it is stands in the key.
    "pages": Kind(rf"{NAME}/{NAME}/({NIGHTS}|{HASH})\.html", "{}"),
}
# What is not here is a page.
MEDIA_TYPES = {"md": "text/plain; charset=utf-8", "json": "application/json"}
NOTEBOOK = "application/x-ipynb+json"
SERVED = re.compile("|".join(f"{name}/{kind.rest}" for name, kind in KINDS.items() if kind.rest))
CATALOG = "catalog/index.html"


def landed(source: str, batch_date: date) -> str:
    """Return the folder of what a source delivered for a night; files are named by their hash."""
    return f"landed/{source}/{batch_date}"


def snapshots(model: str) -> str:
    """Return the folder of a model's frozen training data; files are named by their hash."""
    return f"snapshots/{model}"


def imports(model: str, sha256: str = "") -> str:
    """Return the folder of the files brought for a model, or the key of one."""
    return f"imports/{model}/{sha256}.skops" if sha256 else f"imports/{model}"


def data_docs(source: str, nights: object) -> str:
    """Return the key of the data docs of these nights."""
    return f"data_docs/{source}/{nights}.html"


def report(model: str, batch_date: date) -> str:
    """Return the key of a night's drift report."""
    return f"reports/{model}/{batch_date}.html"


def explorations(subject: str) -> str:
    """Return the folder of the explorations of a source or feature set; files are named by their hash."""
    return f"explorations/{subject}"


def reproductions(model: str) -> str:
    """Return the folder of the findings on versions made again; files are named by their hash."""
    return f"reproductions/{model}"


def replays(model: str) -> str:
    """Return the folder of a model's replays; pages are named by their hash."""
    return f"replays/{model}"


def rehearsed(model: str) -> str:
    """Return the folder of the candidates that a replay at work has so far."""
    return f"{replays(model)}/work"


def is_rehearsed(key: str) -> bool:
    """Return whether a file is such a candidate."""
    return key.startswith("replays/") and key.split("/")[2:3] == ["work"]


def cards(model: str) -> str:
    """Return the folder of a model's cards."""
    return f"cards/{model}"


def card(model: str, version: int) -> str:
    """Return the key of a version's card; its Markdown and bill of materials lie beside it."""
    return f"{cards(model)}/{version}/card.html"


def page(dag_id: str, name: str, which: object) -> str:
    """Return the key of a DAG's page: of a night, of nights, or named by its hash. It is kept for good."""
    return f"pages/{dag_id}/{name}/{which}.html"


def dag_of(key: str) -> str:
    """Return the DAG whose file a served one is."""
    kind, name, *_ = key.split("/")
    return KINDS[kind].dag.format(name)


def is_scripted(key: str) -> bool:
    """Return whether a page draws by script."""
    return KINDS[key.partition("/")[0]].scripted


def sent_as(key: str) -> tuple[str, dict[str, str]]:
    """Return the media type of a served file, and the headers it goes with: a notebook is downloaded."""
    if not key.endswith(".ipynb"):
        return MEDIA_TYPES.get(key.rpartition(".")[2], "text/html"), {}
    subject, name = key.split("/")[1:]
    return NOTEBOOK, {"Content-Disposition": f'attachment; filename="{subject}-{name[:12]}.ipynb"'}
