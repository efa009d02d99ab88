"""Datasets, as the specs declare them: sources, feature sets, and the predictions of models."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from nightshift.records.catalog import DescribedColumn
from nightshift.specs import FeatureSet, Model, Project, Source
from nightshift.warehouse import Table, feature_table, prediction_table, raw_table


@dataclass(frozen=True)
class Dataset:
    """``reads`` and ``read_by`` hold the ids of others; a source reads a connection, which is no dataset."""

    kind: str
    name: str
    owner: str
    description: str
    schema: tuple[DescribedColumn, ...]
    reads: list[str]
    spec_sha256: str
    read_by: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What others call it, and its anchor on the page."""
        return f"{self.kind}.{self.name}"


def datasets(project: Project) -> list[Dataset]:
    """Return the project's datasets: sources, then feature sets, then models, each by name."""
    found = [
        *map(_source, project.sources.values()),
        *map(_features, project.feature_sets.values()),
        *(_model(project, model) for model in project.models.values()),
    ]
    readers: dict[str, list[str]] = {}
    for reader in found:
        for read in reader.reads:
            readers.setdefault(read, []).append(reader.id)
    return [replace(each, read_by=tuple(readers.get(each.id, ()))) for each in found]


def _source(spec: Source) -> Dataset:
    told = {name: column.description for name, column in spec.columns.items()}
    schema = tuple(
        replace(each, nullable=spec.columns[each.name].nullable) if each.name in spec.columns else each
        for each in _schema(raw_table(spec), told)
    )
    connection = getattr(spec.connector, "connection", None)
    reads = [f"connection.{connection}"] if connection else []
    return Dataset("source", spec.name, spec.owner, spec.description, schema, reads, _hash(spec))


def _features(spec: FeatureSet) -> Dataset:
    reads = [f"source.{name}" for name in spec.inputs]
    # The whole module: its code is what it declares.
    code = hashlib.sha256(spec.path.read_bytes()).hexdigest()
    schema = _schema(feature_table(spec))
    return Dataset("features", spec.table, spec.owner, spec.description, schema, reads, code)


def _model(project: Project, spec: Model) -> Dataset:
    feature_set = project.feature_set(spec.features)
    reads = [f"features.{feature_set.table}", *([f"source.{spec.target.source}"] if spec.target else [])]
    schema = _schema(prediction_table(spec, feature_set))
    return Dataset("model", spec.name, spec.owner, spec.description, schema, reads, _hash(spec))


def _schema(table: Table, told: Mapping[str, str] | None = None) -> tuple[DescribedColumn, ...]:
    return tuple(
        DescribedColumn(
            name, kind, name not in table.required and name not in table.key, (told or {}).get(name, "")
        )
        for name, kind in table.columns.items()
    )


def _hash(spec: Source | Model) -> str:
    return hashlib.sha256(json.dumps(spec.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
