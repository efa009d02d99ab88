"""Specs: what the user declares. YAML says which and how much; Python says how.

Frozen, closed models: an unknown key is an error that names the file, the key and the nearest known one.
Nothing here is heavy: DAG files read specs each time they are parsed.
"""

from nightshift.specs.dialect import Dialect
from nightshift.specs.features import FeatureInput, FeatureSet
from nightshift.specs.model import (
    ENCODED,
    FEWEST_HOLDOUT_DAYS,
    BeatsChampion,
    Calibrated,
    Drift,
    Encoding,
    Estimator,
    Gate,
    Kind,
    Latency,
    MinimumScore,
    Model,
    NearPerfect,
    NoWorseOnSlices,
    Performance,
    Recalibrate,
    Retrain,
    Size,
    Train,
)
from nightshift.specs.own import NOTHING, Own
from nightshift.specs.project import Project, load_project, load_settings
from nightshift.specs.search import FAMILIES, Preset, Tune, Values, preset_of
from nightshift.specs.source import (
    LONGEST_RULE,
    REPLAY_ACTIONS,
    ROW_RULES,
    Column,
    ConnectorSpec,
    FilesConnector,
    Fix,
    Freshness,
    HttpConnector,
    Source,
    SqlConnector,
    Volume,
    require_replay,
)
from nightshift.specs.target import Target, class_column

__all__ = [
    "ENCODED",
    "FAMILIES",
    "FEWEST_HOLDOUT_DAYS",
    "LONGEST_RULE",
    "NOTHING",
    "REPLAY_ACTIONS",
    "ROW_RULES",
    "BeatsChampion",
    "Calibrated",
    "Column",
    "ConnectorSpec",
    "Dialect",
    "Drift",
    "Encoding",
    "Estimator",
    "FeatureInput",
    "FeatureSet",
    "FilesConnector",
    "Fix",
    "Freshness",
    "Gate",
    "HttpConnector",
    "Kind",
    "Latency",
    "MinimumScore",
    "Model",
    "NearPerfect",
    "NoWorseOnSlices",
    "Own",
    "Performance",
    "Preset",
    "Project",
    "Recalibrate",
    "Retrain",
    "Size",
    "Source",
    "SqlConnector",
    "Target",
    "Train",
    "Tune",
    "Values",
    "Volume",
    "class_column",
    "load_project",
    "load_settings",
    "preset_of",
    "require_replay",
]
