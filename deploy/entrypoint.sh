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

case "${1:-}" in
    init) init ;;
    # One process: two would create the tables of users at the same time.
    mlflow) exec python -m nightshift.runtime.mlflow_server ;;
    "") echo "nightshift: no command; try: init, mlflow, airflow, nightshift" >&2; exit 64 ;;
    *) exec "$@" ;;
esac
