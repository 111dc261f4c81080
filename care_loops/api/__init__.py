"""The doors for programs: the patient's phone and the clinician's tools, at /api/v1/.

A door parses, reads the clock, makes one call and translates the answer (DESIGN 2).

 * `parsers`: JSON read strictly; `reading`: a body against its serializer, with every refusal named.
 * `base`: who comes in, by token or session, and whose record; `idempotency`: one effect per key.
 * `me_*`: the patient's own subjects. `clinic_*`: the clinician's.
"""
