"""By what each table of this app is tied to a patient: what row-level security is made from (SECURITY 1.2, A6).

Rules
 * Every table of the app is in `SEEN_BY` or, with its reason, in `OPEN`: a table that is in neither fails the build.
 * A row is seen by whoever may see its patient (`care_loops_seen()`), and written by nobody else.
 * `FIRST` is what migration 0027 covered. A later table joins `SEEN_BY`, by its own migration.
"""

from __future__ import annotations

from collections.abc import Mapping

from governance.domain import OfPatient, SeenBy, Through

_PATIENT = OfPatient("patient_id")
_LOOP = Through("loop_id", "care_loops_loop", rides=True)

FIRST: Mapping[str, SeenBy] = {
    "care_loops_patient": OfPatient("id"),
    "care_loops_careteammember": OfPatient("patient_id", or_own="user_id"),
    "care_loops_carerlink": OfPatient("patient_id", or_own="user_id"),
    "care_loops_merge": OfPatient("absorbed_id"),
    **{
        f"care_loops_{name}": _PATIENT
        for name in (
            "adverseevent",
            "alert",
            "alertlimits",
            "allergy",
            "bloodpressure",
            "boundary",
            "condition",
            "consent",
            "intakelog",
            "lab",
            "look",
            "loop",
            "message",
            "regimenentry",
            "reminder",
            "sensorsample",
            "symptom",
            "target",
            "visit",
            "visitplan",
        )
    },
    "care_loops_alertevent": Through("alert_id", "care_loops_alert"),
    "care_loops_boundarydrug": Through("boundary_id", "care_loops_boundary"),
    "care_loops_breakglass": OfPatient("patient_id", or_own="opened_by_id"),
    "care_loops_breakglassread": Through("opening_id", "care_loops_breakglass"),
    "care_loops_breakglassreview": Through("opening_id", "care_loops_breakglass"),
    "care_loops_correction": Through("reading_id", "care_loops_bloodpressure"),
    "care_loops_decidefirst": Through("loop_id", "care_loops_loop"),
    "care_loops_decision": _LOOP,
    "care_loops_firstanswer": Through("loop_id", "care_loops_loop"),
    "care_loops_firstintake": Through("regimen_entry_id", "care_loops_regimenentry"),
    "care_loops_secondreading": Through("review_id", "care_loops_secondreview"),
    "care_loops_secondreview": Through("decision_id", "care_loops_decision"),
    "care_loops_secondverdict": Through("reading_id", "care_loops_secondreading"),
    "care_loops_step": _LOOP,
    "care_loops_symptomreview": Through("symptom_id", "care_loops_symptom"),
}
SEEN_BY: Mapping[str, SeenBy] = FIRST
_NOBODY = "about somebody who does not exist; shown by its selectors to one person"
OPEN: Mapping[str, str] = {
    "care_loops_firstrule": "at which rate proposals are drawn, about nobody",
    "care_loops_importrefusal": "what could not be read is nobody's yet: it names no patient",
    "care_loops_importrun": "counts of an import, about nobody",
    "care_loops_importstage": "counts of an import, about nobody",
    "care_loops_knowndevice": "the type of a device, about nobody",
    "care_loops_probe": _NOBODY,
    "care_loops_probeanswer": _NOBODY,
    "care_loops_probeperson": _NOBODY,
    "care_loops_proberule": "which probes are placed how often, about nobody",
    "care_loops_reviewdraw": "how many decisions a draw considered, about nobody",
    "care_loops_reviewseed": "a seed, about nobody",
}
