"""The papers of a version: its card, its bill of materials, how it compares, whether it can be made again. Pure."""

from nightshift.cards.card import SBOM_FILE, card
from nightshift.cards.comparison import Comparison, Side, compared
from nightshift.cards.record import Record, counts
from nightshift.cards.reproduction import (
    Predictions,
    Reproduction,
    differences,
    distance,
    report,
    scores,
    verdict,
)
from nightshift.cards.sbom import sbom
from nightshift.pages import Document, markdown, page
from nightshift.records.catalog import Difference

__all__ = [
    "SBOM_FILE",
    "Comparison",
    "Difference",
    "Document",
    "Predictions",
    "Record",
    "Reproduction",
    "Side",
    "card",
    "compared",
    "counts",
    "differences",
    "distance",
    "markdown",
    "page",
    "report",
    "sbom",
    "scores",
    "verdict",
]
