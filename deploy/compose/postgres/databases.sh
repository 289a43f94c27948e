#!/bin/sh
# Run once, by the postgres image, on an empty volume: a role and its databases for each server, each with a password
# of its own, none a superuser.
set -eu

role() {
    psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
        --set role="$1" --set password="$(cat "/run/secrets/postgres_$1")" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
SQL
}

database() {
    psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres --set role="$1" --set name="$2" <<'SQL'
CREATE DATABASE :"name" OWNER :"role";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

role dagster
database dagster dagster
role mlflow
database mlflow mlflow
database mlflow mlflow_accounts
