"""A second verifier of bundles, written from audit/README.md alone, so that each of two can be held against the other.

It shares nothing with `audit.verify`: the tree is computed by recursion over a table of known subtrees, JSON is read by
a machine that knows only the one spelling, zips are read from their bytes, and every failure is collected before the
first is chosen. PDFs (V16) are not in it; what a witness answers (`--online`) is handed in. It may take memory for
the whole bundle; it is for tests, not for auditors.
"""
