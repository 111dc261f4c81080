"""A witness: a program of its own that remembers the largest tree of each log it watches and cosigns only its growth.

`python -m audit.witness` is run by somebody else than the hospital's administrators, on other hardware. It knows of the
log its origin, its size and its root, and nothing of patients. It uses the tree and the notes of this package and
nothing else of the application: no Django, no PostgreSQL.
"""
