"""By what each table of this app is tied to a patient, as `care_loops.row_policies` says of its own (SECURITY A6)."""

from __future__ import annotations

from collections.abc import Mapping

from governance.domain import OfPatient, SeenBy

FIRST: Mapping[str, SeenBy] = {
    "edge_wearables_deviceassignment": OfPatient("patient_id"),
    "edge_wearables_refusedreading": OfPatient("patient_id"),
}
SEEN_BY: Mapping[str, SeenBy] = FIRST
_DEVICE = "about a device; whose it was when, its assignments say"
OPEN: Mapping[str, str] = {
    "edge_wearables_batch": _DEVICE,
    "edge_wearables_bootmark": _DEVICE,
    "edge_wearables_device": _DEVICE,
    "edge_wearables_devicekey": _DEVICE,
    "edge_wearables_enrolmentcode": _DEVICE,
    "edge_wearables_received": _DEVICE,
}
