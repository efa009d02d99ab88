"""Import the ML libraries once in the Celery worker: its tasks are forks and find them loaded.

A task that imports them itself spends some 20 CPU-seconds on it. Only in the worker: the others never use
them.
"""

import sys

if sys.argv[1:3] == ["celery", "worker"]:
    import evidently  # noqa: F401
    import great_expectations  # noqa: F401
    import mlflow  # noqa: F401
    import sklearn.ensemble  # noqa: F401
