"""The local runtime: PostgreSQL, MLflow and Airflow on one machine, and the `nightshift` command."""
