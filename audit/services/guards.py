"""What the database itself enforces, read from its catalogue: triggers, functions, policies, rights, owners, in words.

The rules (SECURITY 1.2, T25)
 * One list says what should be: the file named by AUDIT_GUARDS, drawn up from a database that the migrations made, kept
   in the repository and read by whoever reviews a change. It covers every table of the house, not the record's alone.
 * Roles go by the part they play (owner, app, sequencer), so that the list fits every site. Where one role plays
   several parts there are no rights to compare, and every start says so.
 * Somebody else's SELECT is a site's own affair (a reader for backups); anything more is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.conf import settings

from audit.migrations_sql import role_names

_TRIGGERS = """
SELECT c.relname, t.tgname, t.tgenabled::text, pg_get_triggerdef(t.oid, true)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = current_schema()::regnamespace AND (NOT t.tgisinternal OR t.tgenabled <> 'O')
"""
_FUNCTIONS = """
SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', pg_get_userbyid(p.proowner), l.lanname,
       p.prosecdef, p.provolatile::text, p.proconfig, p.prosrc, current_schema(),
       (SELECT array_agg(a.grantee) FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a)
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = current_schema()::regnamespace
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""
_TABLES = """
SELECT c.relname, pg_get_userbyid(c.relowner), c.relkind::text, c.relhasrules, c.relrowsecurity
FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
_POLICIES = """
SELECT c.relname, p.polname, p.polcmd::text, p.polpermissive, ARRAY(SELECT coalesce(r.rolname, 'PUBLIC')
       FROM unnest(p.polroles) o LEFT JOIN pg_roles r ON r.oid = o ORDER BY 1),
       coalesce(pg_get_expr(p.polqual, p.polrelid, true), ''),
       coalesce(pg_get_expr(p.polwithcheck, p.polrelid, true), '')
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = current_schema()::regnamespace
"""
_RIGHTS = """
SELECT c.relname, coalesce(r.rolname, 'PUBLIC'), a.privilege_type, NULL
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE c.relnamespace = current_schema()::regnamespace
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.grantee <> c.relowner
UNION ALL
SELECT c.relname, coalesce(r.rolname, 'PUBLIC'), a.privilege_type, t.attname
FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN LATERAL aclexplode(t.attacl) a
LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE c.relnamespace = current_schema()::regnamespace
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.grantee <> c.relowner
"""
_SCHEMA = """
SELECT coalesce(r.rolname, 'PUBLIC') FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a
LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE n.nspname = current_schema() AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner
"""
_POWERS = """
SELECT r.rolname, ARRAY_REMOVE(ARRAY[CASE WHEN rolsuper THEN 'superuser' END, CASE WHEN rolcreaterole THEN 'createrole'
       END, CASE WHEN rolreplication THEN 'replication' END, CASE WHEN rolbypassrls THEN 'bypassrls' END], NULL)
       || ARRAY(SELECT 'member of ' || g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                WHERE m.member = r.oid ORDER BY 1)
FROM pg_roles r WHERE r.rolname = ANY(%s)
"""
_FIRES = {"A": "always", "O": "not for a replica", "R": "for a replica only", "D": "switched off"}
_COMMANDS = {"*": "all", "r": "select", "a": "insert", "w": "update", "d": "delete"}
_KINDS = {"r": "table", "p": "table", "v": "view", "m": "view", "f": "foreign table"}
_BY_RIGHTS = ("rights of ", "role ")


def as_installed() -> dict[str, str]:
    """What should be, by name; raises OSError or ValueError when the list is not there or is none."""
    return _read(Path(settings.AUDIT_GUARDS))


@lru_cache(maxsize=1)
def _read(path: Path) -> dict[str, str]:
    said = json.loads(path.read_text(encoding="utf-8"))
    return {str(name): str(what) for name, what in said.items()}


def as_they_are(cursor: Any) -> dict[str, str]:
    """What is, as this cursor sees it inside its transaction."""
    parts = _parts()
    separate = len(parts) == 3
    found: dict[str, str] = {}
    for rows in (_triggers(cursor), _functions(cursor, parts), _tables(cursor, parts), _policies(cursor, parts)):
        found |= rows
    if separate:
        found |= dict(_rights(cursor, parts))
        found |= dict(_powers(cursor, parts))
    return found


def differences(cursor: Any) -> tuple[str, ...]:
    """Every difference between what is and what should be, in words, in order; so is a list that cannot be read."""
    try:
        wanted, found = as_installed(), as_they_are(cursor)
    except (OSError, ValueError, AttributeError) as err:
        return (f"the list of what should be cannot be read: {type(err).__name__}",)
    if len(_parts()) < 3:
        wanted = {name: what for name, what in wanted.items() if not name.startswith(_BY_RIGHTS)}
    told = []
    for name in wanted.keys() | found.keys():
        if name not in found:
            told.append(f"{name}: gone")
        elif name in wanted and found[name] != wanted[name]:
            told.append(f"{name}: now {found[name]}")
        elif name not in wanted and not name.startswith(("function ", "table ")):
            told.append(f"{name}: not ours, {found[name]}")
    return tuple(sorted(line[:400] for line in told))


def drawn_up(cursor: Any) -> str:
    """The list as it is kept: one line for each, in order."""
    return json.dumps(as_they_are(cursor), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _parts() -> dict[str, str]:
    """Role names by the part they play; fewer than three where one plays several."""
    owner = getattr(settings, "DATABASE_ROLES", {}).get("owner")
    return ({owner: "owner"} if owner else {}) | {role: part for part, role in role_names().items() if role != owner}


def _triggers(cursor: Any) -> dict[str, str]:
    cursor.execute(_TRIGGERS)
    return {
        f"trigger {name} on {table}": f"{_FIRES.get(enabled, enabled)}; {' '.join(said.split())}"
        for table, name, enabled, said in cursor.fetchall()
    }


def _functions(cursor: Any, parts: dict[str, str]) -> dict[str, str]:
    cursor.execute(_FUNCTIONS)
    found = {}
    for name, owner, language, definer, volatility, config, source, schema, callers in cursor.fetchall():
        said = [
            _part(owner, parts),
            language,
            f"{'definer' if definer else 'caller'}'s rights",
            volatility,
            *(each.replace(schema, "{schema}") for each in config or ()),
            "anybody may call" if 0 in callers else "its owner may call",
            sha256(source.encode()).hexdigest(),
        ]
        found[f"function {name}"] = "; ".join(said)
    return found


def _tables(cursor: Any, parts: dict[str, str]) -> dict[str, str]:
    cursor.execute(_TABLES)
    return {
        f"table {name}": f"{_KINDS[kind]} of the {_part(owner, parts)}"
        f"{' with rules' if rules else ''}{' with row security' if by_row else ''}"
        for name, owner, kind, rules, by_row in cursor.fetchall()
    }


def _policies(cursor: Any, parts: dict[str, str]) -> dict[str, str]:
    cursor.execute(_POLICIES)
    found = {}
    for table, name, command, permissive, roles, shown, taken in cursor.fetchall():
        said = ["lets" if permissive else "holds", _COMMANDS.get(command, command)]
        said += [",".join(role if role == "PUBLIC" else _part(role, parts) for role in roles), " ".join(shown.split())]
        said += ["the same of new rows" if taken == shown else " ".join(taken.split())]
        found[f"policy {name} on {table}"] = "; ".join(said)
    return found


def _rights(cursor: Any, parts: dict[str, str]) -> Iterator[tuple[str, str]]:
    cursor.execute(_RIGHTS)
    held: dict[tuple[str, str], set[str]] = {}
    for table, role, right, column in cursor.fetchall():
        held.setdefault((_part(role, parts), table), set()).add(f"{right} ({column})" if column else right)
    for (role, table), rights in held.items():
        if role in parts.values() or role == "PUBLIC" or not all(right.startswith("SELECT") for right in rights):
            yield f"rights of {role} on {table}", ", ".join(sorted(rights))


def _powers(cursor: Any, parts: dict[str, str]) -> Iterator[tuple[str, str]]:
    """What no part needs: making tables where ours are, or a role's attributes and memberships."""
    cursor.execute(_SCHEMA)
    for (role,) in cursor.fetchall():
        if parts.get(role) != "owner":
            yield f"rights of {_part(role, parts)} on the schema", "CREATE"
    cursor.execute(_POWERS, [[role for role, part in parts.items() if part != "owner"]])
    for role, powers in cursor.fetchall():
        if powers:
            yield f"role {_part(role, parts)}", ", ".join(powers)


def _part(role: str, parts: dict[str, str]) -> str:
    """The part a role plays; every owner of a site with one role is the owner."""
    return parts.get(role, "owner" if len(parts) < 3 else role)
