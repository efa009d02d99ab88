#!/bin/bash
# Runs once, when the volume is empty: one database and one role for each of Airflow, its queue (Celery),
# MLflow and the warehouse. Each role owns its own database and may not even connect to the others.
set -euo pipefail

# \getenv, so that no password is an argument.
for name in airflow celery mlflow warehouse; do
    psql --set=ON_ERROR_STOP=1 --no-psqlrc --quiet --username "${POSTGRES_USER:-postgres}" --dbname postgres \
        --set=name="$name" --set=variable="${name^^}_DB_PASSWORD" <<-'SQL'
	\getenv password :variable
	CREATE ROLE :"name" LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
	CREATE DATABASE :"name" OWNER :"name";
	REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
	SQL
done
psql --set=ON_ERROR_STOP=1 --no-psqlrc --quiet --username "${POSTGRES_USER:-postgres}" --dbname postgres <<-'SQL'
	-- Adds to the ledger and changes nothing: the warehouse's migration grants it that.
	DO $$ BEGIN CREATE ROLE nightshift_stage NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
	REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
SQL
