-- What each process may do on PostgreSQL. To be run by the owner of the database after each
-- `python -m billing_service migrate`; to repeat it changes nothing:
--
--     psql --dbname=paidup --file=deploy/postgresql/roles.sql
--
-- or, where there is no psql, `python -m billing_service roles deploy/postgresql/roles.sql`.
--
-- The two roles cannot log in; where they are there already, the owner need not be one who may
-- create roles. Give each process a role of its own that is in one of them:
--
--     CREATE ROLE my_gateway LOGIN PASSWORD '…' IN ROLE paidup_gateway;
--     CREATE ROLE my_service LOGIN PASSWORD '…' IN ROLE paidup_service;
--
-- `migrate` needs the owner, whom neither process should be.

-- In one transaction: processes that are running never see a moment without their grants.
BEGIN;

DO $$
BEGIN
    IF to_regrole('paidup_gateway') IS NULL THEN
        CREATE ROLE paidup_gateway NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

DO $$
BEGIN
    IF to_regrole('paidup_service') IS NULL THEN
        CREATE ROLE paidup_service NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

-- Everybody may connect and make temporary tables unless told otherwise.
DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO paidup_gateway, paidup_service', current_database()
    );
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO paidup_gateway, paidup_service;

-- A grant that an earlier version needed must not stay.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM paidup_gateway, paidup_service;

-- The gateway stores events and applies what it may. It cannot delete, and sees neither what is
-- sold, nor who is entitled by hand, nor who holds which lease.
GRANT SELECT, INSERT, UPDATE ON
    account, catalog_mirror, customer, event, subscription, touched
    TO paidup_gateway;
GRANT INSERT ON change TO paidup_gateway;
GRANT SELECT, UPDATE ON checkout_session, head TO paidup_gateway;
GRANT SELECT ON alembic_version, deployment, schema_floor TO paidup_gateway;

-- The service does everything but change the schema.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO paidup_service;
REVOKE INSERT, UPDATE, DELETE ON alembic_version, schema_floor FROM paidup_service;
-- What was noted of who changed what stays as it was noted. With PAIDUP_AUDIT_RETENTION_DAYS the
-- service has to drop what is old: GRANT DELETE ON audit_entry TO paidup_service after this file.
REVOKE UPDATE, DELETE ON audit_entry FROM paidup_service;

COMMIT;
