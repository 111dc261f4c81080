"""The benchmarks: each goal's work beside what it is measured against, in one run (`make bench`).

A goal is one module here, `g<number>_<name>.py`, with `NAME` and `prepared(folder)`, a context that yields a `Goal`; or
with `GOALS`, several by name. Nothing else needs to know it. What reads a database makes its own copy
(tests/real_database.py).
"""
