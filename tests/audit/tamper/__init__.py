"""Tampering at random: honest logs, an attacker with every right and the log's keys, and the offline verifier.

`world` grows an honest log out of the same pure functions as the running system; `forging` is what an attacker with
the whole database, the log key and the statement key can derive again; `history`, `spellings` and `fresh` are the
operations T1 to T24 of SECURITY 2.1; `trial` does one and counts. He never has: a witness's key, a clinician's passkey,
the receipts in the callers' hands, the auditor's policy file and the head a witness remembers.
"""
