"""The cohort simulator: synthetic people whose home pressure answers to drugs with published effects and spreads.

What it is for: training and evaluating the hypertension model, and testing software. It is no evidence of clinical
effect (EFFECTS 9). It is another thing than the demonstration's hospital, which plays people through the real entrance.

Rules
 * Every number comes from `data/cohort_parameters.json` or `data/cohort_drugs.json`, cited one by one; ladders of
   doses, the order of classes, the rule of averaging and the protocols come from the tables that care itself reads.
 * Pure numpy. Chance is a `numpy.random.Generator` that is handed in: the same generator, the same cohort, to the bit.
 * Nothing here is imported by a page or an API: numpy stays out of the request path.
 * What only a simulator knows (true pressure, true doses taken) is `truth`, kept apart from what would be observed.

`parameters` ▸ `drugs` ▸ `people` ▸ `body` (doses taken, effect in time, true pressure) ▸ `cuff` (what is measured) ▸
`harms` ▸ `care` (who changes what) ▸ `course` (the cohort, window by window) and `trials` (replicas of published ones),
`checks` (the twelve acceptance checks). `families` differ in kind, `sealing` keeps some of them from the trainer.
"""
