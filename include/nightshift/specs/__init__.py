"""Specs: what the user declares. YAML says which and how much; Python says how.

Frozen, closed models: an unknown key is an error that names the file, the key and the nearest known one.
Nothing here is heavy: DAG files read specs each time they are parsed.
"""

from nightshift.specs.features import FeatureInput, FeatureSet
from nightshift.specs.model import Drift, Gate, Model, Performance, Retrain, Target, Train
from nightshift.specs.project import Project, load_project
from nightshift.specs.source import Column, ConnectorSpec, FilesConnector, HttpConnector, Source, SqlConnector

__all__ = [
    "Column",
    "ConnectorSpec",
    "Drift",
    "FeatureInput",
    "FeatureSet",
    "FilesConnector",
    "Gate",
    "HttpConnector",
    "Model",
    "Performance",
    "Project",
    "Retrain",
    "Source",
    "SqlConnector",
    "Target",
    "Train",
    "load_project",
]
