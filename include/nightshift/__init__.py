"""Nightshift: the night shift of a machine-learning team, on Apache Airflow."""

__version__ = "0.1.0"
