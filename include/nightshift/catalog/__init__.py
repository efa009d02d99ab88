"""The catalog: what datasets there are, whose they are, what they hold, who reads them, and how they fare."""

from nightshift.catalog.datasets import Dataset, datasets
from nightshift.catalog.page import Standing, document

__all__ = ["Dataset", "Standing", "datasets", "document"]
