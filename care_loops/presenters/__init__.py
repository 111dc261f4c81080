"""Turns values of the clinic into words, tables and drawings. Reads no table, decides nothing, writes nothing.

* `words`: one word for every member of every closed set.
* `times`: instants in the patient's zone, and how long ago or ahead they are.
* `changes`: a change of regimen, and a loop's frozen outcome, in words.
* `summary`: the patient at one glance, as JSON; the patient page shows exactly this.
* `recommendation`: one recommendation on one page.
* `worklist`: what needs a person, most urgent first.
"""
