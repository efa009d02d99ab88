"""Training: which days, which rows, which pipeline. Pure: frames in, estimators and numbers out."""

from nightshift.train.dates import TrainingDates, training_dates
from nightshift.train.fitting import fit, importance, out_of_fold, predict
from nightshift.train.labels import labelled, labels
from nightshift.train.plots import plots
from nightshift.train.script import script
from nightshift.train.tuning import Search, Trial, best, check, judged_by, search

__all__ = [
    "Search",
    "TrainingDates",
    "Trial",
    "best",
    "check",
    "fit",
    "importance",
    "judged_by",
    "labelled",
    "labels",
    "out_of_fold",
    "plots",
    "predict",
    "script",
    "search",
    "training_dates",
]
