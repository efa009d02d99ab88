#!/bin/sh
# Write .env from .env.example, with a random value for every secret. Mode 0600; never overwrites.
set -eu
umask 077
cd "$(dirname "$0")/.."

if [ -e .env ]; then
    echo "nightshift: .env exists; delete it yourself if you mean to lose its secrets" >&2
    exit 1
fi

# 64 characters: what signing tokens with SHA-512 asks for.
hex() { head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n'; }
fernet() { head -c 32 /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'; }

while IFS= read -r line; do
    case "$line" in
        AIRFLOW_FERNET_KEY=) echo "$line$(fernet)" ;;
        *_PASSWORD= | *_SECRET= | *_KEY=) echo "$line$(hex)" ;;
        *) echo "$line" ;;
    esac
done <.env.example >.env.part
mv .env.part .env

echo "wrote .env (mode 0600). Still yours to fill in:"
grep -nE '^[A-Z_]+=$' .env || echo "  nothing"
