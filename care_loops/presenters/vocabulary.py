"""The words themselves: for each closed set that people see, a word or a sentence for each member."""

from __future__ import annotations

from collections.abc import Mapping

from ..break_glass import EndedHow, ReviewOutcome
from ..danger import LimitName
from ..domain.adverse import AdverseKind
from ..domain.alerts import AlertKind, Ask, Scope
from ..domain.changes import ChangeKind
from ..domain.loops import DecisionKind, LoopState
from ..domain.readings import Implausible, Insufficient, Method, NotUsed
from ..domain.record import ConditionKind, DrugClass, LabKind, Pregnancy, SymptomKind
from ..domain.refusals import Withheld
from ..regimen_news import News
from ..selectors.alert_evidence import Doubt

STATES: Mapping[LoopState, str] = {
    LoopState.PROPOSED: "Proposed",
    LoopState.WITHHELD: "Nothing proposed",
    LoopState.WITH_PATIENT: "With the patient",
    LoopState.WITH_CLINICIAN: "Waiting for a clinician",
    LoopState.APPROVED: "Approved",
    LoopState.MODIFIED: "Modified and signed",
    LoopState.REJECTED: "Rejected",
    LoopState.DELIVERED: "Delivered to the patient",
    LoopState.ACCEPTED: "Accepted by the patient",
    LoopState.DECLINED: "Declined by the patient",
    LoopState.RECALLED: "Recalled",
    LoopState.EXPIRED: "Expired",
    LoopState.WITHDRAWN: "Withdrawn",
    LoopState.DONE: "Done: first dose taken",
}
WITHHELD_THEN: Mapping[Withheld, str] = {
    Withheld.HUMAN_ONLY_CARE: "the patient had asked for care by people only",
    Withheld.KILL_SWITCH: "automated proposals were switched off",
    Withheld.POLICY_STALE: "a policy of the site was no longer what was approved",
    Withheld.SUSPENDED: "the pathway, the model, the boundary, a device or this group of patients was suspended",
    Withheld.PREGNANCY: "the patient was then pregnant, or within six weeks after",
    Withheld.DANGER_LOCK: "a danger alert locked automated advice",
    Withheld.DANGER_BAR: "a reading in a danger range in the 14 days before barred any increase",
    Withheld.AGE_UNKNOWN: "the date of birth was not on record",
    Withheld.AGE_OUTSIDE: "the patient's age was outside this pathway",
    Withheld.DIALYSIS_OR_ESRD: "the patient was on dialysis or had end-stage kidney disease",
    Withheld.NO_TARGET: "no target was signed for this patient",
    Withheld.NO_LIST_OF_MEDICINES: "no list of medicines had been recorded, nor that none are taken",
    Withheld.REGIMEN_NOT_FULLY_KNOWN: "the medication was not fully known",
    Withheld.NOT_ENOUGH_READINGS: "there were not enough usable readings",
    Withheld.OBSERVED: "the model only observed here: nobody had signed that it may propose",
    Withheld.NO_APPROVED_MODEL: "no approved model served this pathway",
    Withheld.MODEL_DOWN: "the model did not answer",
    Withheld.OUT_OF_DISTRIBUTION: "this patient was unlike those the model knows",
    Withheld.TOO_SOON: "the last change of medication was too recent",
    Withheld.ONE_WINDOW_OVER: "the average was over target in too few consecutive weeks",
    Withheld.LOW_ADHERENCE: "too many doses had been missed in the window",
    Withheld.ASKED_BEFORE: "the same change had been rejected or declined a short time before",
    Withheld.LABS_OVERDUE: "laboratory results were overdue",
    Withheld.NO_CANDIDATE: "no change was left that the rules allow",
    Withheld.LIMITS_LEFT_NOTHING: "limits left nothing of the change",
    Withheld.IN_TARGET: "the average was in target",
}
GLASS_ENDED: Mapping[EndedHow, str] = {
    EndedHow.BY_OWNER: "ended by who opened it",
    EndedHow.TIME: "its time was over",
    EndedHow.SESSION: "they signed out",
}
GLASS_REVIEWS: Mapping[ReviewOutcome, str] = {
    ReviewOutcome.JUSTIFIED: "Justified",
    ReviewOutcome.NOT_JUSTIFIED: "Not justified",
    ReviewOutcome.REPORTED: "Reported as an incident",
}
WITHHELD: Mapping[Withheld, str] = {
    Withheld.HUMAN_ONLY_CARE: "the patient asked for care by people only",
    Withheld.KILL_SWITCH: "automated proposals are switched off",
    Withheld.POLICY_STALE: "a policy of the site is no longer what was approved",
    Withheld.SUSPENDED: "the pathway, the model, the boundary, a device or this group of patients is suspended",
    Withheld.PREGNANCY: "the patient is pregnant, or was within six weeks",
    Withheld.DANGER_LOCK: "a danger alert locks automated advice until a clinician closes it",
    Withheld.DANGER_BAR: "a reading in a danger range in the last 14 days bars any increase",
    Withheld.AGE_UNKNOWN: "the date of birth is not on record",
    Withheld.AGE_OUTSIDE: "the patient's age is outside this pathway",
    Withheld.DIALYSIS_OR_ESRD: "the patient is on dialysis or has end-stage kidney disease",
    Withheld.NO_TARGET: "no target is signed for this patient",
    Withheld.NO_LIST_OF_MEDICINES: "no list of medicines has been recorded, nor that none are taken",
    Withheld.REGIMEN_NOT_FULLY_KNOWN: "the current medication is not fully known",
    Withheld.NOT_ENOUGH_READINGS: "there are not enough usable readings",
    Withheld.OBSERVED: "the model only observes here: nobody has signed that it may propose",
    Withheld.NO_APPROVED_MODEL: "no approved model serves this pathway",
    Withheld.MODEL_DOWN: "the model did not answer",
    Withheld.OUT_OF_DISTRIBUTION: "this patient is unlike those the model knows",
    Withheld.TOO_SOON: "the last change of medication is too recent",
    Withheld.ONE_WINDOW_OVER: "the average is over target in too few consecutive weeks",
    Withheld.LOW_ADHERENCE: "too many doses were missed in the window",
    Withheld.ASKED_BEFORE: "the same change was rejected or declined a short time ago",
    Withheld.LABS_OVERDUE: "laboratory results are overdue",
    Withheld.NO_CANDIDATE: "no change is left that the rules allow",
    Withheld.LIMITS_LEFT_NOTHING: "limits left nothing of the change",
    Withheld.IN_TARGET: "the average is in target",
}
NOT_USED: Mapping[NotUsed, str] = {
    NotUsed.DUPLICATE: "repeat of another reading",
    NotUsed.VOID_STATUS: "voided by its source",
    NotUsed.FUTURE: "time in the future",
    NotUsed.OUTSIDE_WINDOW: "outside the window",
    NotUsed.TOO_SOON_AFTER_CHANGE: "too soon after a change of medication",
    NotUsed.QUARANTINED: "held back as implausible",
    NotUsed.COMPONENT_ABSENT: "systolic or diastolic absent",
    NotUsed.NOT_UPPER_ARM_CUFF: "not an upper-arm cuff",
    NotUsed.DEVICE_NOT_VALIDATED: "device not validated",
    NotUsed.NOT_HOME: "not measured at home",
    NotUsed.STANDING: "measured standing",
    NotUsed.LYING: "measured lying down",
    NotUsed.NOT_OFFICE: "not measured in the clinic",
    NotUsed.TOO_CLOSE: "less than a minute after the reading before",
    NotUsed.CLOCK_UNCERTAIN: "time of measurement is not certain",
    NotUsed.MOTION: "disturbed by movement",
    NotUsed.POST_EXERCISE: "within 30 minutes of exercise",
    NotUsed.FIRST_DAY: "first day is discarded",
    NotUsed.FIRST_READING: "first reading is discarded",
    NotUsed.SESSION_TOO_SMALL: "fewer than two readings in the session",
}
INSUFFICIENT: Mapping[Insufficient, str] = {
    Insufficient.NO_READINGS: "no usable readings",
    Insufficient.TOO_FEW_READINGS: "too few usable readings",
    Insufficient.TOO_FEW_DAYS: "readings on too few days",
    Insufficient.NO_MORNING: "no morning readings",
    Insufficient.NO_EVENING: "no evening readings",
}
IMPLAUSIBLE: Mapping[Implausible, str] = {
    Implausible.SENTINEL: "an error number of the device, not a pressure",
    Implausible.SYSTOLIC_NOT_ABOVE_DIASTOLIC: "systolic is not above diastolic",
    Implausible.PULSE_PRESSURE_TOO_SMALL: "systolic and diastolic are too close",
    Implausible.SYSTOLIC_OUT_OF_RANGE: "systolic is outside what is plausible",
    Implausible.DIASTOLIC_OUT_OF_RANGE: "diastolic is outside what is plausible",
    Implausible.PULSE_OUT_OF_RANGE: "pulse is outside what is plausible",
    Implausible.FUTURE: "measured in the future, or by a clock that was wrong",
    Implausible.EQUIVOCAL: "same identifier as another reading, other content",
    Implausible.NOT_EXACT: "sent as more or less than a number, not as a number",
    Implausible.PARTLY_READ: "refused, because a part of it could not be read; what could be read is dangerous",
}
DOUBTS: Mapping[Doubt, str] = {
    Doubt.CONTRADICTS_ITSELF: "the numbers contradict each other (held back), so a repeat must confirm them",
    Doubt.DISTURBED: "it was taken in movement or after exercise, so a repeat must confirm it",
    Doubt.CUFFLESS: "it was measured without a cuff, so a cuff reading must confirm it",
}
KINDS: Mapping[ChangeKind, str] = {
    ChangeKind.STAY: "No change",
    ChangeKind.STEP_UP: "Increase",
    ChangeKind.STEP_DOWN: "Reduce",
    ChangeKind.START: "Start",
    ChangeKind.STOP: "Stop",
    ChangeKind.TIMING: "Change time of intake of",
}
DECISIONS: Mapping[DecisionKind, str] = {
    DecisionKind.APPROVE: "approved",
    DecisionKind.MODIFY: "modified",
    DecisionKind.REJECT: "rejected",
}
LABS: Mapping[LabKind, tuple[str, str]] = {
    LabKind.POTASSIUM: ("Potassium", "mmol/L"),
    LabKind.SODIUM: ("Sodium", "mmol/L"),
    LabKind.CREATININE: ("Creatinine", "µmol/L"),
    LabKind.EGFR: ("eGFR", "mL/min/1.73 m²"),
    LabKind.UACR: ("Urine albumin/creatinine", "mg/mmol"),
}
PREGNANCY: Mapping[Pregnancy, str] = {
    Pregnancy.NOT_PREGNANT: "not pregnant",
    Pregnancy.PREGNANT: "PREGNANT",
    Pregnancy.POSTPARTUM: "within six weeks after pregnancy",
    Pregnancy.UNKNOWN: "not on record",
}
METHODS: Mapping[Method, str] = {
    Method.UPPER_ARM_CUFF: "upper-arm cuff",
    Method.WRIST_CUFF: "wrist cuff",
    Method.CUFFLESS: "cuffless estimate",
    Method.AUSCULTATION: "by stethoscope",
    Method.UNKNOWN: "method not known",
}
CLASSES: Mapping[DrugClass, str] = {
    DrugClass.ACE_INHIBITOR: "ACE inhibitor",
    DrugClass.ARB: "ARB",
    DrugClass.DHP_CCB: "calcium channel blocker",
    DrugClass.NON_DHP_CCB: "rate-slowing calcium channel blocker",
    DrugClass.THIAZIDE_LIKE: "thiazide-like diuretic",
    DrugClass.MRA: "mineralocorticoid antagonist",
    DrugClass.ARNI: "sacubitril/valsartan",
    DrugClass.NSAID: "NSAID",
    DrugClass.CYP3A4_INHIBITOR: "CYP3A4 inhibitor",
    DrugClass.OTHER: "other drug",
}
CONDITIONS: Mapping[ConditionKind, str] = {
    ConditionKind.DIALYSIS_OR_ESRD: "dialysis or end-stage kidney disease",
    ConditionKind.HEART_FAILURE_REDUCED_EF: "heart failure with reduced ejection fraction",
    ConditionKind.ANGIOEDEMA_HISTORY: "history of angio-oedema",
    ConditionKind.AORTIC_STENOSIS_SEVERE: "severe aortic stenosis",
    ConditionKind.AV_BLOCK_2_3: "second or third degree AV block",
    ConditionKind.SICK_SINUS: "sick sinus syndrome",
    ConditionKind.COPD: "COPD",
    ConditionKind.ADDISON: "Addison's disease",
}
SYMPTOMS: Mapping[SymptomKind, str] = {
    SymptomKind.SWELLING_FACE: "swelling of lip, face, tongue or throat",
    SymptomKind.SYNCOPE: "fainting (syncope)",
    SymptomKind.SUDDEN_SWELLING: "sudden swelling of hands or feet",
}
TIERS: Mapping[str, str] = {
    "patient_may_act": "Patient may act, within the signed boundary",
    "clinician_approves": "Clinician approves",
    "clinician_decides": "Clinician decides",
    "withheld": "Nothing proposed",
}
ALERTS: Mapping[AlertKind, str] = {
    AlertKind.CRISIS: "Blood pressure in the crisis range",
    AlertKind.LOW: "Blood pressure dangerously low",
    AlertKind.LOW_DIASTOLIC: "Low diastolic pressure",
    AlertKind.AMBER_LOW: "Blood pressure on the low side",
    AlertKind.HIGH_DIASTOLIC: "High diastolic pressure",
    AlertKind.ORTHOSTATIC: "Pressure falls on standing",
    AlertKind.HEART_RATE: "Heart rate out of range",
    AlertKind.DANGEROUS_LAB: "Dangerous laboratory result",
    AlertKind.ANGIOEDEMA: "Swelling of lip, face, tongue or throat",
    AlertKind.SYNCOPE: "Fainting",
    AlertKind.SYMPTOM: "Symptom reported",
    AlertKind.SICK_DAY: "Sick day: vomiting, diarrhoea or dehydration",
    AlertKind.PREGNANCY: "Pregnancy",
    AlertKind.PREGNANCY_DRUG: "Pregnancy with a drug that harms it",
    AlertKind.PREGNANCY_PRESSURE: "High pressure in or after pregnancy",
    AlertKind.PREGNANCY_SYMPTOM: "Warning symptom in or after pregnancy",
    AlertKind.PATIENT_ASKS: "The patient asks for a person",
    AlertKind.REGIMEN_CHANGED: "The medicines changed elsewhere",
    AlertKind.NOT_REACHED: "A reduction or stop has not come about: phone the patient",
}
ASKS: Mapping[Ask, str] = {
    Ask.CALL_EMERGENCY: "Emergency: call the local emergency number",
    Ask.REPEAT_NOW: "Sit down and repeat the measurement now",
    Ask.MEASURE_NOW: "Measure now",
    Ask.CUFF_READING: "Take a reading with an upper-arm cuff",
    Ask.SYMPTOM_QUESTIONNAIRE: "Ask about symptoms at once",
    Ask.CONTACT_CARE_TEAM: "Patient and care team speak today",
    Ask.TARGET_ORGAN_TESTS: "Consider tests for organ damage",
    Ask.CONSIDER_REDUCTION: "Consider reducing medication",
    Ask.REVIEW_MEDICATION: "Review medication",
    Ask.STANDING_PRESSURE: "Measure standing pressure",
    Ask.SICK_DAY_PAUSE: "Consider pausing RAS drugs and diuretics while ill",
    Ask.STOP_DRUG_REVIEW: "Review whether the drug must stop",
    Ask.REPEAT_LAB: "Repeat the laboratory test",
}
SCOPES: Mapping[Scope, str] = {
    Scope.PATIENT_FACING: "anything that goes straight to the patient",
    Scope.UP_TITRATION: "any increase",
    Scope.RATE_SLOWING: "increases of what slows the heart",
    Scope.ROUTINE_ADVICE: "routine advice",
}
# What a limit of alerts is of, and its unit.
LIMITS: Mapping[LimitName, tuple[str, str]] = {
    LimitName.CRISIS_SYSTOLIC: ("Crisis, systolic", "mmHg"),
    LimitName.CRISIS_DIASTOLIC: ("Crisis, diastolic", "mmHg"),
    LimitName.LOW_SYSTOLIC: ("Low, systolic", "mmHg"),
    LimitName.LOW_DIASTOLIC: ("Low, diastolic", "mmHg"),
    LimitName.SLOW_PULSE: ("Slow heart rate", "a minute"),
    LimitName.FAST_PULSE: ("Fast heart rate at rest", "a minute"),
}
BEYOND: Mapping[str, str] = {">=": "{} or more", ">": "over {}", "<=": "{} or less", "<": "under {}"}
VISITS: Mapping[str, str] = {"held": "Held", "not_held": "Not held", "cancelled": "Cancelled"}
SEVERITIES: Mapping[str, str] = {
    "hard_stop": "Stops it",
    "caution": "Caution",
    "warning": "Note",
    "critical": "Critical",
    "urgent": "Urgent",
    "card": "To review",
    "info": "For information",
}
# What moved in the regimen, so that a change stands no longer; why somebody is to phone.
MOVED: Mapping[str, str] = {
    News.NOT_FULLY_KNOWN.value: "A line of the regimen can no longer be read",
    News.DOSE_CHANGED.value: "Another dose of the drug is on record than the change was signed for",
    News.STOPPED.value: "The drug was stopped elsewhere",
    News.STARTED.value: "The drug to be started is taken already",
    News.OTHERS_CHANGED.value: "Other drugs that lower pressure have changed",
    News.INTERACTS.value: "A new drug must not be taken with it",
    "approved_too_long": "It was signed, and not delivered in time",
    "modified_too_long": "It was signed, and not delivered in time",
    "delivered_too_long": "It was delivered, and not answered in time",
    "accepted_too_long": "It was accepted, and not begun in time",
}
# Codes that stand among reasons.
SENTENCES: Mapping[str, str] = {
    "clinician_order": "A clinician wrote this change; it was not proposed",
    "over_target_in_consecutive_windows": "The average is over target in consecutive windows",
    "new_window": "A new window of readings closed",
}
MODELS: Mapping[str, str] = {
    "home_bp": "HOME BP titration protocol (published)",
    "tasminh4": "TASMINH4 titration protocol (published)",
}
# Coded reasons and outcomes that people choose from.
REASONS: Mapping[str, str] = {
    "agrees_with_plan": "Agrees with the plan for this patient",
    "patient_preference": "The patient prefers it",
    "side_effect": "Side effect",
    "adherence_first": "Taking it regularly comes first",
    "readings_not_representative": "The readings do not represent the patient",
    "other_condition": "Another condition matters more",
    "waiting_for_lab": "A laboratory result is awaited",
    "different_drug_preferred": "Another drug is preferred",
    "smaller_step_preferred": "A smaller step is preferred",
    "frailty_or_falls": "Frailty or falls",
    "will_see_patient": "I will see the patient first",
    "other": "Other (say what)",
    "danger_missed": "A danger was missed",
    "limit_ignored": "A limit was ignored",
    "evidence_not_opened": "The evidence cannot have been read",
    "wrong_change": "Another change was needed",
    "should_have_waited": "It should have waited",
    "treated": "Treated",
    "sent_to_emergency": "Sent to emergency care",
    "repeat_was_normal": "The repeat was normal",
    "medication_reviewed": "Medication reviewed",
    "false_reading": "The reading was false",
    "patient_reached_and_well": "Patient reached and well",
    "referred": "Referred",
    "caused_by_drug": "Caused by the drug",
    "not_caused_by_drug": "Not caused by the drug",
    "not_sure_watching": "Not sure; watching",
    "no_longer_present": "No longer present",
    "wrong_patient": "Taken for the wrong patient",
    "entered_in_error": "Entered in error",
}
# What to tell beside a change; codes of `Change.note`.
NOTES: Mapping[str, str] = {
    "take_in_the_evening": "take it in the evening instead of the morning",
    "take_in_the_morning": "take it in the morning instead of the evening",
}
ADVERSE: Mapping[AdverseKind, str] = {
    AdverseKind.HYPOTENSION: "Low pressure with symptoms",
    AdverseKind.SYNCOPE: "Fainting",
    AdverseKind.FALL: "Fall",
    AdverseKind.HYPERKALAEMIA: "High potassium",
    AdverseKind.HYPONATRAEMIA: "Low sodium",
    AdverseKind.KIDNEY_INJURY: "Acute kidney injury",
    AdverseKind.ANGIO_OEDEMA: "Angio-oedema",
    AdverseKind.BRADYCARDIA: "Slow heart rate",
    AdverseKind.STROKE: "Stroke",
    AdverseKind.HEART_ATTACK: "Heart attack",
    AdverseKind.HEART_FAILURE: "Heart failure",
    AdverseKind.DEATH: "Death",
    AdverseKind.OTHER: "Something else",
}
