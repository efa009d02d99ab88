"""Stages: one function a task, each read -> compute -> write. What a DAG file calls is here.

Every stage takes the batch dates it is for and a ``Try`` that names who asks; none asks the clock. Each can
be run again for any date, by anyone, and leaves the same rows.
"""

from nightshift.stages.collecting import collect, validate
from nightshift.stages.describing import describe
from nightshift.stages.featurising import build_features
from nightshift.stages.monitoring import decide_verdict, measure_performance, render_report
from nightshift.stages.platform import Platform, Try
from nightshift.stages.retraining import decide_retraining, verdict_of
from nightshift.stages.scoring import compare, score
from nightshift.stages.training import conclude, evaluate, fit, promote, snapshot

__all__ = [
    "Platform",
    "Try",
    "build_features",
    "collect",
    "compare",
    "conclude",
    "decide_retraining",
    "decide_verdict",
    "describe",
    "evaluate",
    "fit",
    "measure_performance",
    "promote",
    "render_report",
    "score",
    "snapshot",
    "validate",
    "verdict_of",
]
