"""The offline verifier: judges a bundle or PDF of the record by the auditor's own keys (audit/README.md, SECURITY 3.5).

The core, to be read in this order: `spelling`, `notes`, `archive`, `walk`, `__main__`.
"""
