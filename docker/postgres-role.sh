#!/bin/sh
# Run by the image of PostgreSQL when it makes its files: the role of sweep is not the server's
# owner, and has a database of its own. The password is on no command line.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\set password `cat /run/secrets/database`
CREATE ROLE sweep LOGIN PASSWORD :'password';
CREATE DATABASE sweep OWNER sweep;
REVOKE ALL ON DATABASE sweep FROM PUBLIC;
SQL
