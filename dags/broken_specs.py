"""No DAG: the place where broken specs show. Airflow lists the error with file and key; all other DAGs stand."""

from nightshift.orchestration.lifecycle import project

project().require_sound()
