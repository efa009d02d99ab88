"""Training: which days, which rows, which pipeline. Pure: frames in, estimators and numbers out."""

from nightshift.train.dates import TrainingDates, training_dates
from nightshift.train.fitting import fit, importance, out_of_fold, predict
from nightshift.train.labels import labelled, labels
from nightshift.train.plots import gain_plots, plots
from nightshift.train.tryout import Tryout, try_out

__all__ = [
    "TrainingDates",
    "Tryout",
    "fit",
    "gain_plots",
    "importance",
    "labelled",
    "labels",
    "out_of_fold",
    "plots",
    "predict",
    "training_dates",
    "try_out",
]
