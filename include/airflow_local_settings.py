"""Airflow imports this module whenever one of its processes starts. See nightshift.orchestration.preload."""

from nightshift.orchestration.preload import preload

__all__: list[str] = []  # nothing here is a policy

preload()
