-- Who may do what in the bundled PostgreSQL. Runs at every start, as the administrator `langfuse`, and changes nothing
-- twice: a stack whose server was its administrator, and a restored database, are put right. Needs the variables
-- POSTGRES_APP_PASSWORD, POSTGRES_BACKUP_PASSWORD and MONITOR_PASSWORD.
\set ON_ERROR_STOP 1
\set QUIET 1
\getenv app POSTGRES_APP_PASSWORD
\getenv backup POSTGRES_BACKUP_PASSWORD
\getenv monitor MONITOR_PASSWORD

-- A statement that fails would be logged with the password in it.
SET client_min_messages = 'warning';
SET log_min_error_statement = 'panic';
SET log_statement = 'none';

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['langfuse_app', 'langfuse_backup', 'langfuse_monitor']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

-- The server: owner of its database, which its migrations need, and of nothing else.
ALTER ROLE langfuse_app NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'app';
-- Backups read everything.
ALTER ROLE langfuse_backup NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'backup';
GRANT pg_read_all_data TO langfuse_backup;
-- The exporter reads statistics.
ALTER ROLE langfuse_monitor NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    CONNECTION LIMIT 10 PASSWORD :'monitor';
GRANT pg_monitor TO langfuse_monitor;

SELECT format('ALTER DATABASE %I OWNER TO langfuse_app', current_database())
FROM pg_database WHERE datname = current_database() AND datdba <> 'langfuse_app'::regrole \gexec

-- What was made by the administrator. Sequences of columns and parts of extensions follow what they belong to.
SELECT format('ALTER %s %s OWNER TO langfuse_app', kind, name) FROM (
    SELECT CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END
        AS kind, oid::regclass::text AS name
    FROM pg_class AS c
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
        AND relowner <> 'langfuse_app'::regrole
        AND NOT EXISTS (
            SELECT FROM pg_depend
            WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype IN ('a', 'i', 'e')
        )
    UNION ALL
    SELECT 'TYPE', oid::regtype::text FROM pg_type AS t
    WHERE typnamespace = 'public'::regnamespace AND typtype IN ('d', 'e', 'r')
        AND typowner <> 'langfuse_app'::regrole
        AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_type'::regclass AND objid = t.oid AND deptype = 'e'
        )
    UNION ALL
    SELECT 'ROUTINE', oid::regprocedure::text FROM pg_proc AS p
    WHERE pronamespace = 'public'::regnamespace AND proowner <> 'langfuse_app'::regrole
        AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e'
        )
) AS owned \gexec
