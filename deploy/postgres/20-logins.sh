#!/bin/bash
# The warehouse's logins, one a kind of stage and one that reads. They own nothing; `nightshift migrate` grants each
# what its statements need. Runs when the volume is empty, and by hand as often as one likes (a volume of before, a new
# password): docker compose exec postgres bash /docker-entrypoint-initdb.d/20-logins.sh
set -euo pipefail
export PGPASSWORD="${PGPASSWORD-${POSTGRES_PASSWORD-}}"

for role in collect features score train monitor operate describe alerts reader; do
    psql --set=ON_ERROR_STOP=1 --no-psqlrc --quiet --username "${POSTGRES_USER:-postgres}" --dbname postgres \
        --set=login="nightshift_$role" --set=variable="WAREHOUSE_${role^^}_DB_PASSWORD" <<-'SQL'
	\getenv password :variable
	SELECT format('CREATE ROLE %I', :'login') WHERE to_regrole(:'login') IS NULL \gexec
	ALTER ROLE :"login" LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
	SQL
done
