"""Explore: what the rows of a range look like, as a page to read and a notebook to go on with.

Pure: frames in, text out. The same rows and the same question give the same bytes. What counts (rows,
missing values, distinct values, PSI) counts every row; pictures and correlations are drawn from the sample.
"""

from nightshift.explore.examine import LABEL, Exploration, Question, Subject, Volume, examine, sampled
from nightshift.explore.notebook import notebook
from nightshift.explore.page import render

__all__ = [
    "LABEL",
    "Exploration",
    "Question",
    "Subject",
    "Volume",
    "examine",
    "notebook",
    "render",
    "sampled",
]
