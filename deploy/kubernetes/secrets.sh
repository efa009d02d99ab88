#!/bin/sh
# Print what docker-compose.yaml builds of .env, as Secrets: secrets.sh HOST[:PORT][?sslmode=...] <.env
#
#   sh deploy/kubernetes/secrets.sh 'postgres.internal:5432?sslmode=require' <.env | kubectl apply --namespace nightshift --filename -
#
# The host is your PostgreSQL's. No value is an argument of a command, and none is written to a file.
set -eu

given=${1:?usage: secrets.sh HOST[:PORT][?sslmode=...] <.env}
host=${given%%\?*}
options=${given#"$host"}
env=$(cat)

# The value of a variable; a missing one ends the script, not the subshell alone.
value() { printf '%s\n' "$env" | sed -n "s/^$1=//p" | tail -n 1; }
for name in AIRFLOW_DB_PASSWORD AIRFLOW_FERNET_KEY AIRFLOW_SECRET_KEY AIRFLOW_JWT_SECRET AIRFLOW_ADMIN_USER \
    AIRFLOW_ADMIN_EMAIL AIRFLOW_ADMIN_PASSWORD MLFLOW_DB_PASSWORD MLFLOW_PASSWORD MLFLOW_SECRET_KEY WAREHOUSE_DB_PASSWORD \
    OPS_CONNECTION AIRCRAFT_API_CONNECTION; do
    [ -n "$(value "$name")" ] || { echo "nightshift: $name is empty in .env; see .env.example" >&2; exit 78; }
done

# As YAML: in single quotes, a quote twice.
line() { printf '  %s: %s\n' "$1" "'$(printf '%s' "$2" | sed "s/'/''/g")'"; }
secret() { printf -- '---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData:\n' "$1"; }

secret nightshift-airflow
line connection "postgresql+psycopg2://airflow:$(value AIRFLOW_DB_PASSWORD)@$host/airflow$options"
line fernet-key "$(value AIRFLOW_FERNET_KEY)"
line api-secret-key "$(value AIRFLOW_SECRET_KEY)"
line jwt-secret "$(value AIRFLOW_JWT_SECRET)"

secret nightshift-connections
for stage in COLLECT FEATURES SCORE TRAIN MONITOR OPERATE DESCRIBE ALERTS READER; do
    password=$(value "WAREHOUSE_${stage}_DB_PASSWORD")
    [ -n "$password" ] || { echo "nightshift: WAREHOUSE_${stage}_DB_PASSWORD is empty in .env" >&2; exit 78; }
    login=nightshift_$(printf '%s' "$stage" | tr '[:upper:]' '[:lower:]')
    line "AIRFLOW_CONN_WAREHOUSE_$stage" "postgres://$login:$password@$host/warehouse$options"
done
line AIRFLOW_CONN_MLFLOW "http://nightshift:$(value MLFLOW_PASSWORD)@mlflow:5000/http"
line AIRFLOW_CONN_OPS "$(value OPS_CONNECTION)"
line AIRFLOW_CONN_AIRCRAFT_API "$(value AIRCRAFT_API_CONNECTION)"

secret nightshift-migrate
line NIGHTSHIFT_WAREHOUSE_URL "postgresql://warehouse:$(value WAREHOUSE_DB_PASSWORD)@$host/warehouse$options"
line AIRFLOW_ADMIN_USER "$(value AIRFLOW_ADMIN_USER)"
line AIRFLOW_ADMIN_EMAIL "$(value AIRFLOW_ADMIN_EMAIL)"
line AIRFLOW_ADMIN_PASSWORD "$(value AIRFLOW_ADMIN_PASSWORD)"

secret nightshift-mlflow
line MLFLOW_BACKEND_STORE_URI "postgresql://mlflow:$(value MLFLOW_DB_PASSWORD)@$host/mlflow$options"
line MLFLOW_AUTH_ADMIN_PASSWORD "$(value MLFLOW_PASSWORD)"
line MLFLOW_FLASK_SERVER_SECRET_KEY "$(value MLFLOW_SECRET_KEY)"
