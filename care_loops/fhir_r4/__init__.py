"""FHIR R4 on its way in: bytes become resources, resources become values of the clinic. No Django, clock, network.

* `documents`: bytes of a file (Bundle, NDJSON, one resource; gzip or not) to resources, one by one.
* `values`: the data types of FHIR that are read here, and the refusal by name.
* `resources`: what a resource says, as a value.
* `observations`, `medications`, `people`: one reader for each kind of resource.
* `reader`: which reader reads what, and who is whom (references).
"""
