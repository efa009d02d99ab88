#!/bin/sh
# The image's entrypoint: `init`, `mlflow`, or any command. Nothing starts on a placeholder secret.
set -eu
here=$(dirname "$0")

# The rest runs under the check: this same file again, with `checked` in front.
if [ "${1:-}" != checked ]; then
    exec sh "$here/check-secrets.sh" sh "$0" checked "$@"
fi
shift

# Private by default: what is written below holds passwords.
umask 077

init() {
    airflow db migrate
    python "$here/first_start.py"
    nightshift migrate
}

mlflow_server() {
    export MLFLOW_AUTH_CONFIG_PATH="${TMPDIR:-/tmp}/mlflow-auth.ini"
    {
        echo "[mlflow]"
        echo "default_permission = READ"
        echo "database_uri = $MLFLOW_BACKEND_STORE_URI"
    } >"$MLFLOW_AUTH_CONFIG_PATH"
    # One worker: two would create the tables of users at the same time.
    exec mlflow server --app-name basic-auth --host 0.0.0.0 --port "${MLFLOW_PORT:-5000}" --workers 1 \
        --serve-artifacts --artifacts-destination "${MLFLOW_ARTIFACTS:-/mlflow}"
}

case "${1:-}" in
    init) init ;;
    mlflow) mlflow_server ;;
    "") echo "nightshift: no command; try: init, mlflow, airflow, nightshift" >&2; exit 64 ;;
    *) exec "$@" ;;
esac
