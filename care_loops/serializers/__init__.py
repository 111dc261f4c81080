"""What the APIs take and give, field by field.

* `strict`: fields that take one type and no other, and name what is wrong; `serializer` that refuses unknown names.
* `phone_in`, `phone_out`: the patient's API. `clinic_in`, `clinic_out`: the clinician's.
"""
