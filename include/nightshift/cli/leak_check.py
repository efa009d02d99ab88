"""`nightshift check features`: the look at a set's text, and the attacks on nights of a warehouse."""

from datetime import date

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nightshift.cli import handles
from nightshift.errors import NightshiftError
from nightshift.featurise.leaks import Finding
from nightshift.featurise.purity import suspects
from nightshift.specs import FeatureSet

# A check asks no registry; a client of none would make a store of its own in the working directory.
NO_REGISTRY = "http://127.0.0.1:9"


def run(name: str, nights: list[date], console: Console, *, shards: bool = False) -> None:
    """Print what was found about a feature set, on ``nights`` or its newest ones; of its ``shards`` alone, if asked.

    Raises:
        NightshiftError: it leaks, or its rows differ; naming set, night, columns and how many rows.
    """
    from nightshift import stages
    from nightshift.registry import Registry

    platform = handles.platform("describe", Registry(NO_REGISTRY), needs=(handles.OBJECTS,))
    spec = platform.project.feature_set(name)
    look = stages.check_shards if shards else stages.check_features
    wrong = [f"{spec.path}:{s.line}: `{s.text}` asks {s.asks}" for s in suspects(spec.path)]
    table = Table(title=f"{spec.set} v{spec.version}: rows that changed", box=None, header_style="bold")
    for column in ("night", "attack", "input rows", "features", "changed", "columns"):
        table.add_column(
            column, justify="right" if column in {"input rows", "features", "changed"} else "left"
        )
    for night in nights or stages.newest_nights(platform, name):
        for finding in look(platform, name, night):
            _add(table, night, finding)
            wrong += [_told(spec, night, finding)] if finding.changed else []
    console.print(table)
    for model, alone in {} if shards else stages.what_features_say_alone(platform, name).items():
        wrong += [_given(spec, column, model) for column in alone.giving_away]
        warnings = [_suspicious(column, score, model) for column, score in alone.telling.items()]
        console.print(
            *warnings, sep="\n", end="\n" * bool(warnings), style="yellow", soft_wrap=True, markup=False
        )
    if wrong:
        raise NightshiftError("\n".join(wrong))
    console.print(
        "Every row is the same, bit for bit, however the night is dealt."
        if shards
        else "No leak: every row stayed the same, bit for bit, and no feature alone says what is to come."
    )


def _add(table: Table, night: date, finding: Finding) -> None:
    style = "red" if finding.changed else ""
    touched = f"{finding.touched:,}" if finding.touched else ""
    columns = escape(", ".join(finding.columns))
    table.add_row(
        str(night), finding.attack, touched, f"{finding.rows:,}", f"{finding.changed:,}", columns, style=style
    )


def _given(spec: FeatureSet, column: str, model: str) -> str:
    return (
        f"feature set '{spec.name}': feature '{column}' by itself says the label of model '{model}' nearly always: it "
        "holds what is to be predicted, or becomes known only with it. Take it out"
    )


def _suspicious(column: str, score: float, model: str) -> str:
    return (
        f"feature '{column}' by itself says the label of model '{model}' suspiciously well ({score:.3f} of 1, as ROC "
        "AUC or R2): is it known beforehand? If not, take it out"
    )


def _told(spec: FeatureSet, night: date, finding: Finding) -> str:
    return (
        f"feature set '{spec.name}', {night}, {finding.attack}: {finding.changed} of {finding.rows} rows changed, "
        f"in {', '.join(finding.columns)}"
    )
