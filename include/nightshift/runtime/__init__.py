"""The local runtime: PostgreSQL, MLflow and Airflow on one machine, started, watched and stopped."""
