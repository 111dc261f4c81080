"""What things are: values of the clinic, with their units. No Django, no clock, no network.

* `units`: numbers that could harm wear their unit.
* `readings`: blood pressure as it was measured, and averages of it.
* `record`: patient, regimen, labs, conditions, symptoms, consent, target, boundary.
* `changes`: a change of regimen, what limits did to it, what was predicted.
* `loops`: the states of a recommendation and the decisions people take.
* `refusals`: why there is no recommendation, by name.
"""
