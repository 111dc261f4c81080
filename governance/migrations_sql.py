"""Controls that other apps' migrations lay on their tables: rights of the application's role, and growth only.

Rules (DESIGN 7)
 * The application may insert and select. It may update only the columns named, and delete nothing.
 * Tables that only grow refuse UPDATE, DELETE and TRUNCATE from everyone, by triggers that are `ENABLE ALWAYS`.
 * A column `entry` must name an audit entry at commit (N5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import migrations

from audit.migrations_sql import entry_reference_trigger, role_names

from .domain import SeenBy, Through


def rights(tables: Mapping[str, Sequence[str]]) -> migrations.RunPython:
    """Give the application SELECT and INSERT on each table, and UPDATE of the named columns; take the rest away."""

    def forwards(_apps: Any, schema_editor: Any) -> None:
        quote = schema_editor.connection.ops.quote_name
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            (owner,) = cursor.fetchone()
            role = role_names()["app"]
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
            if role == owner or cursor.fetchone() is None:
                return
            for table, columns in tables.items():
                cursor.execute(f"REVOKE ALL ON {quote(table)} FROM PUBLIC, {quote(role)}")
                cursor.execute(f"GRANT SELECT, INSERT ON {quote(table)} TO {quote(role)}")
                if columns:
                    named = ", ".join(quote(column) for column in columns)
                    cursor.execute(f"GRANT UPDATE ({named}) ON {quote(table)} TO {quote(role)}")

    return migrations.RunPython(forwards, migrations.RunPython.noop)


def only_grows(table: str) -> migrations.RunSQL:
    """Refuse UPDATE, DELETE and TRUNCATE of `table`, whoever asks."""
    return _refuse(table, rows="UPDATE OR DELETE")


def no_deletion(table: str) -> migrations.RunSQL:
    """Refuse DELETE and TRUNCATE of a table whose named columns may move."""
    return _refuse(table, rows="DELETE")


def _refuse(table: str, *, rows: str) -> migrations.RunSQL:
    row, whole = f"{table}_stays", f"{table}_no_truncate"
    made: list[Any] = [
        f"CREATE TRIGGER {row} BEFORE {rows} ON {table} FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
        f"CREATE TRIGGER {whole} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {row}",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {whole}",
    ]
    undone: list[Any] = [f"DROP TRIGGER {row} ON {table}", f"DROP TRIGGER {whole} ON {table}"]
    return migrations.RunSQL(sql=made, reverse_sql=undone)


def ends_once(table: str, column: str) -> migrations.RunSQL:
    """Refuse to move `column`, the end of something, once it is set: what has ended stays ended."""
    name = f"{table}_ends_once"
    made: list[Any] = [
        f"""CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.{column} IS NOT NULL AND NEW.{column} IS DISTINCT FROM OLD.{column} THEN
        RAISE EXCEPTION 'what has ended stays ended: % of %', TG_ARGV[0], TG_TABLE_NAME
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$""",
        f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {name}('{column}')",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
    ]
    return migrations.RunSQL(sql=made, reverse_sql=f"DROP FUNCTION {name}() CASCADE")


def controls(grows: Sequence[str], moves: Mapping[str, Sequence[str]]) -> list[Any]:
    """All of it: `grows` only grow; of `moves` the named columns may be updated. Every `entry` must exist at commit."""
    tables: dict[str, Sequence[str]] = dict.fromkeys(grows, ()) | dict(moves)
    operations: list[Any] = [rights(tables)]
    operations += [only_grows(table) for table in grows]
    operations += [no_deletion(table) for table in moves]
    operations += [entry_reference_trigger(table, "entry") for table in tables]
    return operations


_BY_ENTRY = r"""CREATE FUNCTION <name>() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (<moved>) AND NOT EXISTS (
        SELECT 1 FROM audit_pending p,
            LATERAL (SELECT split_part(convert_from(p.leaf, 'UTF8'), E'\n', 3)::jsonb AS said) entry
        WHERE p.txid = pg_current_xact_id() AND said ->> 'type' IN (<listed>)
          AND said #>> '{object,id}' = NEW.<of>::text<by>
    ) THEN
        RAISE EXCEPTION '% of %: <named> moved without an entry', NEW.<of>, TG_TABLE_NAME
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$"""


def moves_by_entry(
    table: str, columns: Sequence[str], *, kinds: Sequence[str], of: str, person: str = ""
) -> migrations.RunSQL:
    """Refuse, at commit, to move `columns` without an entry of the same transaction about this very object (N5).

    The entry is of one of `kinds`, its object is what the column `of` of the row says, and it is by whom the column
    `person` names, where one is said. Other columns move freely.
    """
    name = f"{table}_by_entry_{columns[0]}"
    moved = " OR ".join(f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in columns)
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    named = ", ".join(columns)
    asked = f"DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {name}()"
    function = _BY_ENTRY
    by = f" AND said #>> '{{actor,id}}' = NEW.{person}::text" if person else ""
    for word, meant in {"name": name, "moved": moved, "listed": listed, "of": of, "named": named, "by": by}.items():
        function = function.replace(f"<{word}>", meant)
    made: list[Any] = [
        function,
        f"CREATE CONSTRAINT TRIGGER {name} AFTER UPDATE OF {named} ON {table} {asked}",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
    ]
    return migrations.RunSQL(sql=made, reverse_sql=f"DROP FUNCTION {name}() CASCADE")


_SIGNED = r"""CREATE FUNCTION governance_is_signed() RETURNS trigger LANGUAGE plpgsql
SET search_path = {schema}, pg_temp AS $$
DECLARE
    kept jsonb := to_jsonb(NEW);
    named text;
BEGIN
    SELECT string_agg(kept ->> part, ':' ORDER BY place) INTO named
        FROM unnest(TG_ARGV[3:]) WITH ORDINALITY AS parts(part, place);
    IF NOT EXISTS (
        SELECT 1 FROM governance_signature s JOIN governance_signatureevidence e ON e.signature_id = s.id,
            LATERAL (SELECT convert_from(e.record, 'UTF8')::jsonb AS said) r
        WHERE s.id = (kept ->> 'signature_id')::uuid AND s.method IN ('webauthn', 'password_totp')
          AND s.signer_id::text = kept ->> TG_ARGV[1] AND said ->> 'account' = kept ->> TG_ARGV[1]
          AND said ->> 'type' = ANY (string_to_array(TG_ARGV[0], ' ')) AND said #>> '{object,id}' = named
          AND (TG_ARGV[2] = '' OR said #>> '{object,version}' = kept ->> TG_ARGV[2])
    ) THEN
        RAISE EXCEPTION '% of % is not signed over this very record by who is named', TG_TABLE_NAME, named
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$"""


def signing_function() -> migrations.RunPython:
    """The function that `signed_row` asks; made once, by this app's own migration."""

    def forwards(_apps: Any, schema_editor: Any) -> None:
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("SELECT quote_ident(current_schema())")
            cursor.execute(_SIGNED.replace("{schema}", cursor.fetchone()[0]))

    def backwards(_apps: Any, schema_editor: Any) -> None:
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION governance_is_signed() CASCADE")

    return migrations.RunPython(forwards, backwards)


def signed_row(
    table: str, *kinds: str, signer: str, of: Sequence[str], version: str = "", when: str = "true"
) -> migrations.RunSQL:
    """Refuse a row whose `signature_id` has no evidence over this very object by this very person (21 CFR 11.70).

    `kinds` are the types of entry it may come of; `signer` is the column of who signed; `of` the
    columns that together name the object, `version` that of its version.
    """
    name = f"{table}_is_signed"
    said = ", ".join(f"'{each}'" for each in (" ".join(kinds), signer, version, *of))
    asked = f"FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION governance_is_signed({said})"
    made: list[Any] = [
        f"CREATE TRIGGER {name} BEFORE INSERT ON {table} {asked}",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
    ]
    return migrations.RunSQL(sql=made, reverse_sql=[f"DROP TRIGGER {name} ON {table}"])


_OWN_ENTRY = r"""CREATE FUNCTION governance_entry_is_own() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    kept jsonb := to_jsonb(NEW);
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM audit_pending p,
            LATERAL (SELECT split_part(convert_from(p.leaf, 'UTF8'), E'\n', 3)::jsonb AS said) entry
        WHERE p.txid = pg_current_xact_id() AND said ->> 'id' = kept ->> 'entry'
          AND said ->> 'type' = ANY (string_to_array(TG_ARGV[0], ' '))
          AND said #>> '{object,id}' = kept ->> TG_ARGV[1]
          AND said #>> '{actor,kind}' = CASE WHEN kept ->> TG_ARGV[2] IS NULL THEN 'service' ELSE 'user' END
          AND said #>> '{actor,id}' = coalesce(kept ->> TG_ARGV[2], said #>> '{actor,id}')
    ) THEN
        RAISE EXCEPTION '% of %: no entry of this very act by who is named', TG_TABLE_NAME, kept ->> TG_ARGV[1]
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;"""


def own_entry_function() -> migrations.RunSQL:
    """The function that `own_entry` asks; made once, by this app's own migration."""
    return migrations.RunSQL(sql=_OWN_ENTRY, reverse_sql="DROP FUNCTION governance_entry_is_own() CASCADE")


def own_entry(table: str, *kinds: str, of: str, person: str) -> migrations.RunSQL:
    """Refuse a new row unless an entry of the same transaction, of one of `kinds`, is about it and by `person` (N5).

    `of` is the column that names the object, `person` the one that names who acted; where that is empty a job did.
    """
    name = f"{table}_own_entry"
    asked = f"governance_entry_is_own('{' '.join(kinds)}', '{of}', '{person}')"
    made: list[Any] = [
        f"CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {asked}",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
    ]
    return migrations.RunSQL(sql=made, reverse_sql=[f"DROP TRIGGER {name} ON {table}"])


_COMES_BY_ENTRY = r"""CREATE FUNCTION governance_comes_by_entry() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    kept jsonb := to_jsonb(NEW);
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM audit_pending p,
            LATERAL (SELECT split_part(convert_from(p.leaf, 'UTF8'), E'\n', 3)::jsonb AS said) entry
        WHERE p.entry_id = (kept ->> 'entry')::uuid AND p.txid = pg_current_xact_id()
          AND said ->> 'type' = ANY (string_to_array(TG_ARGV[0], ' '))
          AND (TG_ARGV[1] = '' OR said #>> '{object,id}' = kept ->> TG_ARGV[1])
          AND (TG_ARGV[2] = '' OR said #>> '{actor,id}' = kept ->> TG_ARGV[2])
    ) THEN
        RAISE EXCEPTION 'a row of % came without an entry of this very act', TG_TABLE_NAME
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;"""


def comes_by_entry_function() -> migrations.RunSQL:
    """The function that `comes_by_entry` asks; made once, by this app's own migration."""
    return migrations.RunSQL(sql=_COMES_BY_ENTRY, reverse_sql="DROP FUNCTION governance_comes_by_entry() CASCADE")


def comes_by_entry(table: str, *kinds: str, of: str = "", person: str = "") -> migrations.RunSQL:
    """Refuse, at commit, a new row whose `entry` is not of the same transaction and of one of `kinds` (N5).

    `of` is the column that names the entry's object, `person` the one that names who acted, where the row has them.
    Unlike `own_entry` it lets the row and its entry come in one statement.
    """
    name = f"{table}_comes_by_entry"
    said = f"'{' '.join(kinds)}', '{of}', '{person}'"
    asked = f"DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION governance_comes_by_entry({said})"
    made: list[Any] = [
        f"CREATE CONSTRAINT TRIGGER {name} AFTER INSERT ON {table} {asked}",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
    ]
    return migrations.RunSQL(sql=made, reverse_sql=[f"DROP TRIGGER {name} ON {table}"])


def row_policies(tables: Mapping[str, SeenBy], *, seen: str) -> list[Any]:
    """Show and take rows of each table only for patients whom the connection sees (SECURITY 1.2; `selectors.sight`).

    `seen` is the app's function that says whom: uuid[]. It is asked once for a statement, not once for a row.
    """
    return [_row_policy(table, _SEEN.format(tied=_tied(table, by, seen))) for table, by in tables.items()]


_EVERYTHING = "current_setting('clinaiops.sees', true) = 'everything'"
_SEEN = f"(SELECT coalesce({_EVERYTHING}, false)) OR {{tied}}"


def _tied(table: str, by: SeenBy, seen: str) -> str:
    if isinstance(by, Through):
        rides = f" OR NOT {by.table}_there({table}.{by.column})" if by.rides else ""
        return f"EXISTS (SELECT 1 FROM {by.table} above WHERE above.id = {table}.{by.column}){rides}"  # noqa: S608  names of ours
    own = f" OR {by.or_own} = (SELECT governance_viewer())" if by.or_own else ""
    return f"{by.column} = ANY ((SELECT {seen}())::uuid[]){own}"


def _row_policy(table: str, seen: str) -> migrations.RunSQL:
    made: list[Any] = [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY {table}_seen ON {table} USING ({seen}) WITH CHECK ({seen})",
    ]
    undone: list[Any] = [
        f"DROP POLICY {table}_seen ON {table}",
        f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    ]
    return migrations.RunSQL(sql=made, reverse_sql=undone)


_VIEWER = r"""CREATE FUNCTION governance_viewer() RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE
    said text := coalesce(current_setting('clinaiops.sees', true), '');
BEGIN
    RETURN CASE WHEN said ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN said::uuid END;
END $$"""


def viewer_function() -> migrations.RunSQL:
    """The function that says for whom the connection looks; nobody, unless it was told."""
    return migrations.RunSQL(sql=_VIEWER, reverse_sql="DROP FUNCTION governance_viewer()")
