"""Training: which days, which rows, which pipeline. Pure: frames in, estimators and numbers out.

``train.plots`` is asked for by name: a fresh process that tries a model out needs no picture.
"""

from nightshift.train.alone import alone
from nightshift.train.dates import TrainingDates, days_behind, fair_from, training_dates
from nightshift.train.encoding import told
from nightshift.train.fitting import (
    as_fitted,
    final,
    fit,
    importance,
    is_by_function,
    out_of_fold,
    predict,
    predictions_sha256,
    require_answers,
    require_fitted,
)
from nightshift.train.labels import (
    FIRST_KNOWN,
    FIRST_REPORTED,
    came,
    labelled,
    labels,
    never_met,
    reports,
    require_classes,
    require_spelled,
    texts,
)
from nightshift.train.sample import drawn, require_enough, sampled
from nightshift.train.script import script
from nightshift.train.tryout import Tryout, try_out
from nightshift.train.tuning import FOLDS_OF, Search, Trial, best, check, chosen, judged_by, search

__all__ = [
    "FIRST_KNOWN",
    "FIRST_REPORTED",
    "FOLDS_OF",
    "Search",
    "TrainingDates",
    "Trial",
    "Tryout",
    "alone",
    "as_fitted",
    "best",
    "came",
    "check",
    "chosen",
    "days_behind",
    "drawn",
    "fair_from",
    "final",
    "fit",
    "importance",
    "is_by_function",
    "judged_by",
    "labelled",
    "labels",
    "never_met",
    "out_of_fold",
    "predict",
    "predictions_sha256",
    "reports",
    "require_answers",
    "require_classes",
    "require_enough",
    "require_fitted",
    "require_spelled",
    "sampled",
    "script",
    "search",
    "texts",
    "told",
    "training_dates",
    "try_out",
]
