"""Stages own nothing: tables of specs are made for them by functions of their owner, that only add."""

from alembic import op

revision = "0016"
down_revision = "0015"

STATEMENTS = """
-- Create a table of a spec, or add the columns that it lacks. Names, columns and types are data: quoted, or refused.
-- anew: one without a row is made again. False: it holds rows, and nothing was done.
CREATE FUNCTION catalog.make_table(
    of_schema text, of_name text, names text[], types text[], required text[], key text[], anew boolean
) RETURNS boolean LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known text[] := ARRAY['text', 'bigint', 'double precision', 'boolean', 'date',
                          'timestamp with time zone', 'json'];
    relation text := format('%I.%I', of_schema, of_name);
    unknown text := (SELECT coalesce(t, 'missing') FROM unnest(types) t WHERE (t = ANY (known)) IS NOT TRUE LIMIT 1);
    holds_rows boolean;
BEGIN
    IF unknown IS NOT NULL OR cardinality(names) IS DISTINCT FROM cardinality(types) THEN
        RAISE EXCEPTION 'table %: type % is none of %', relation, coalesce(unknown, 'missing'), known;
    END IF;
    IF of_name !~ '^[a-z][a-z0-9_]{0,62}$' THEN
        RAISE EXCEPTION 'table %: expected lower-case letters, digits and _', relation;
    END IF;
    PERFORM pg_advisory_xact_lock(1853057126); -- two first nights at once would race on the catalog
    IF anew AND to_regclass(relation) IS NOT NULL THEN
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %s)', relation) INTO holds_rows;
        IF holds_rows THEN
            RETURN false;
        END IF;
        EXECUTE format('DROP TABLE %s', relation);
    END IF;
    EXECUTE format('CREATE TABLE IF NOT EXISTS %s (%s, PRIMARY KEY (%s))', relation,
        (SELECT string_agg(format('%I %s%s', n, t, CASE WHEN n = ANY (required) THEN ' NOT NULL' ELSE '' END), ', '
                           ORDER BY place) FROM unnest(names, types) WITH ORDINALITY u (n, t, place)),
        (SELECT string_agg(format('%I', k), ', ' ORDER BY place) FROM unnest(key) WITH ORDINALITY u (k, place)));
    EXECUTE (SELECT string_agg(format('ALTER TABLE %s ADD COLUMN IF NOT EXISTS %I %s', relation, n, t), '; '
                               ORDER BY place) FROM unnest(names, types) WITH ORDINALITY u (n, t, place));
    RETURN true;
END $$;

-- Their schema is theirs alone: whoever may call one of these makes tables there and nowhere else.
DO $$
DECLARE
    s text;
BEGIN
    FOREACH s IN ARRAY ARRAY['raw', 'features', 'predictions', 'adhoc'] LOOP
        EXECUTE format('CREATE FUNCTION %1$I.ensure_table(of_name text, names text[], types text[], required text[], '
            'key text[], anew boolean) RETURNS boolean LANGUAGE sql SECURITY DEFINER '
            'SET search_path = pg_catalog, pg_temp AS '
            '%2$L', s, format('SELECT catalog.make_table(%L, of_name, names, types, required, key, anew)', s));
        EXECUTE format('REVOKE ALL ON FUNCTION %I.ensure_table FROM PUBLIC', s);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION catalog.make_table FROM PUBLIC;

-- The view of a model's rows of one arm, named after both.
CREATE FUNCTION predictions.ensure_view(of_table text, of_arm text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1853057126);
    EXECUTE format('CREATE OR REPLACE VIEW predictions.%I AS SELECT * FROM predictions.%I WHERE arm = %L',
        of_table || '_' || of_arm, of_table, of_arm);
END $$;
REVOKE ALL ON FUNCTION predictions.ensure_view FROM PUBLIC;

-- What guards and seals does so with its owner's rights: a stage adds a row, and reads no more than it must.
DO $$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY ARRAY['require_passed_decision', 'require_signature', 'seal', 'refuse_change'] LOOP
        EXECUTE format('ALTER FUNCTION governance.%I() SECURITY DEFINER SET search_path = pg_catalog, pg_temp', f);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION governance.append_seal FROM PUBLIC;
"""


def upgrade() -> None:
    """Create them."""
    op.execute(STATEMENTS)
