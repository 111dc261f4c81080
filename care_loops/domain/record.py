"""The patient's record as the loop sees it, frozen at one moment.

Rules
 * What is unknown is `None` or `UNKNOWN`, never a usual value (N2).
 * A regimen is a dated history. `fully_known` is false as soon as one entry could not be read, and says which.
 * A target and a boundary carry who signed them and when; unsigned ones do not exist here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from .units import Milligrams, MmHg


class Sex(StrEnum):
    """Administrative sex as in FHIR."""

    FEMALE = "female"
    MALE = "male"
    OTHER = "other"
    UNKNOWN = "unknown"


class Pregnancy(StrEnum):
    """What the record says of pregnancy (CLINICAL 1.3 C13)."""

    NOT_PREGNANT = "not_pregnant"
    PREGNANT = "pregnant"
    POSTPARTUM = "postpartum"  # up to six weeks after the end of pregnancy
    UNKNOWN = "unknown"


class DrugClass(StrEnum):
    """Antihypertensive classes of CLINICAL 1.6, and the classes that interact with them (1.7)."""

    ACE_INHIBITOR = "ace_inhibitor"
    ARB = "arb"
    DHP_CCB = "dhp_ccb"
    NON_DHP_CCB = "non_dhp_ccb"
    THIAZIDE_LIKE = "thiazide_like"
    THIAZIDE = "thiazide"
    MRA = "mra"
    BETA_BLOCKER = "beta_blocker"
    RENIN_INHIBITOR = "renin_inhibitor"
    ARNI = "arni"
    LOOP_DIURETIC = "loop_diuretic"
    POTASSIUM_SPARING = "potassium_sparing"
    POTASSIUM_SUPPLEMENT = "potassium_supplement"
    NSAID = "nsaid"
    LITHIUM = "lithium"
    TRIMETHOPRIM = "trimethoprim"
    STATIN = "statin"
    CYP3A4_INHIBITOR = "cyp3a4_inhibitor"
    OTHER = "other"


class LabKind(StrEnum):
    """Laboratory tests that the rules read. Units: mmol/L, mmol/L, µmol/L, mL/min/1.73 m², mg/mmol."""

    POTASSIUM = "potassium"
    SODIUM = "sodium"
    CREATININE = "creatinine"
    EGFR = "egfr"
    UACR = "uacr"


LAB_UNITS: dict[LabKind, str] = {
    LabKind.POTASSIUM: "mmol/L",
    LabKind.SODIUM: "mmol/L",
    LabKind.CREATININE: "umol/L",
    LabKind.EGFR: "mL/min/{1.73_m2}",
    LabKind.UACR: "mg/mmol",
}


class ConditionKind(StrEnum):
    """Conditions the rules of CLINICAL 1.3 and 1.7 read."""

    HYPERTENSION = "hypertension"
    DIABETES = "diabetes"
    CKD = "chronic_kidney_disease"
    DIALYSIS_OR_ESRD = "dialysis_or_esrd"
    ATRIAL_FIBRILLATION = "atrial_fibrillation"
    HEART_FAILURE_REDUCED_EF = "heart_failure_reduced_ef"
    ANGIOEDEMA_HISTORY = "angioedema_history"
    BILATERAL_RENAL_ARTERY_STENOSIS = "bilateral_renal_artery_stenosis"
    AORTIC_STENOSIS_SEVERE = "aortic_stenosis_severe"
    AORTIC_STENOSIS = "aortic_stenosis"
    CARDIOGENIC_SHOCK = "cardiogenic_shock"
    ANURIA = "anuria"
    GOUT = "gout"
    ADDISON = "addison"
    ASTHMA = "asthma"
    COPD = "copd"
    AV_BLOCK_2_3 = "av_block_2_3"
    SICK_SINUS = "sick_sinus"
    PERIPHERAL_ARTERY_DISEASE = "peripheral_artery_disease"
    HYPOGLYCAEMIA_UNAWARENESS = "hypoglycaemia_unawareness"
    HYPERCALCAEMIA = "hypercalcaemia"
    VOLUME_DEPLETION = "volume_depletion"
    CHILDBEARING_POTENTIAL = "childbearing_potential"
    FRAILTY = "frailty"
    TACHYARRHYTHMIA = "tachyarrhythmia"
    OEDEMA = "oedema"
    GYNAECOMASTIA = "gynaecomastia"
    ATHLETE = "athlete"
    LIMITED_LIFE_EXPECTANCY = "limited_life_expectancy"


class SymptomKind(StrEnum):
    """What a patient can report. The rules of CLINICAL 1.3 say which of them make an emergency."""

    CHEST_PAIN = "chest_pain"
    SHORTNESS_OF_BREATH = "shortness_of_breath"
    BACK_PAIN = "back_pain"
    NUMBNESS = "numbness"
    WEAKNESS = "weakness"
    VISION_CHANGE = "vision_change"
    DIFFICULTY_SPEAKING = "difficulty_speaking"
    CONFUSION = "confusion"
    DIZZINESS = "dizziness"
    VOMITING = "vomiting"
    DIARRHOEA = "diarrhoea"
    DEHYDRATION = "dehydration"
    SYNCOPE = "syncope"
    FALL = "fall"
    SWELLING_FACE = "swelling_of_lip_face_tongue_or_throat"
    SEVERE_HEADACHE = "severe_headache"
    UPPER_ABDOMINAL_PAIN = "upper_abdominal_pain"
    SUDDEN_SWELLING = "sudden_swelling_of_hands_or_feet"
    COUGH = "cough"
    ANKLE_SWELLING = "ankle_swelling"
    RASH = "rash"
    FATIGUE = "fatigue"
    HEADACHE = "headache"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """Who the patient is, as far as rules need it. `age_years` is whole years at the moment of evidence."""

    age_years: int | None
    sex: Sex
    pregnancy: Pregnancy
    conditions: tuple[ConditionKind, ...]
    allergies: tuple[str, ...]  # RxNorm ingredient codes


@dataclass(frozen=True, slots=True)
class DrugTaken:
    """One drug of the regimen, as prescribed and confirmed taken.

    `ingredient` is the RxNorm IN code. `daily_dose` is the total a day. `since` is when this dose began to be taken
    (first intake confirmed); `None` when the record cannot say.
    """

    ingredient: str
    name: str
    drug_class: DrugClass
    daily_dose: Milligrams | None
    since: datetime | None
    product: str | None = None  # RxNorm SCD


NO_LIST = "no list of medicines has been recorded"
"""Stands among what is unknown of a regimen of which no record says anything, not even that nothing is taken (N2)."""


@dataclass(frozen=True, slots=True)
class Regimen:
    """What the patient takes now. `unknown` holds, by name, each entry that keeps it from being fully known."""

    drugs: tuple[DrugTaken, ...]
    unknown: tuple[str, ...]

    @property
    def fully_known(self) -> bool:
        """Whether every entry could be read; titration is refused otherwise."""
        return not self.unknown

    @property
    def listed(self) -> bool:
        """Whether any record says what is taken, or that nothing is."""
        return NO_LIST not in self.unknown


@dataclass(frozen=True, slots=True)
class PastChange:
    """A change of regimen that took effect. `steps` is signed: up positive, down negative; a start is +1, a stop -1."""

    ingredient: str
    drug_class: DrugClass
    effective_at: datetime
    steps: int
    loop_id: str | None = None


@dataclass(frozen=True, slots=True)
class SaidNo:
    """A change that a clinician rejected or the patient declined: which drug, which new total daily dose, when."""

    ingredient: str
    new_daily_dose: Milligrams | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Lab:
    """A laboratory result in the unit of `LAB_UNITS[kind]`."""

    lab_id: str
    kind: LabKind
    value: Decimal
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class SymptomReport:
    """A symptom as reported, perhaps blamed on a drug (RxNorm IN). `reviewed` once a clinician has dealt with it."""

    symptom_id: str
    kind: SymptomKind
    reported_at: datetime
    suspected_ingredient: str | None = None
    reviewed: bool = False


@dataclass(frozen=True, slots=True)
class Adherence:
    """Doses taken of doses due over the window, from the intake log."""

    taken: int
    due: int

    @property
    def share(self) -> Decimal | None:
        """Taken over due, 0 to 1; `None` when nothing was due."""
        return Decimal(self.taken) / Decimal(self.due) if self.due else None


@dataclass(frozen=True, slots=True)
class Target:
    """The home pressure this patient's clinician signed: at or above either number is out of target."""

    target_id: str
    systolic_below: MmHg
    diastolic_below: MmHg
    signed_by: str
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class AlertLimit:
    """A boundary signed for one patient: the row of the danger table, and the value in that row's unit."""

    rule: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class AlertLimits:
    """Where this patient's alerts speak earlier than the site's (HTN-06). Without a row the site's boundary holds."""

    limits_id: str
    version: int
    limits: tuple[AlertLimit, ...]
    signed_by: str
    signed_at: datetime

    @property
    def ref(self) -> str:
        """How a finding names them: identifier and version."""
        return f"{self.limits_id}@{self.version}"


@dataclass(frozen=True, slots=True)
class AllowedDrug:
    """What the boundary lets the patient do for one drug: up to `max_daily_dose`, in `products` (RxNorm SCD)."""

    ingredient: str
    max_daily_dose: Milligrams
    products: tuple[str, ...]
    allow_up: bool


@dataclass(frozen=True, slots=True)
class Boundary:
    """A signed titration order (CLINICAL 1.9 row 1). It covers a change only while it stands.

    `max_steps` counts over the boundary's whole life; `min_interval_days` lies between two changes.
    """

    boundary_id: str
    version: int
    drugs: tuple[AllowedDrug, ...]
    max_steps: int
    min_interval_days: int
    signed_by: str
    signed_at: datetime
    starts_at: datetime
    expires_at: datetime
    review_everything: bool
    by_prescriber: bool
    target_id: str | None  # the target it was signed for; under another one it no longer covers
    signer_responsible: bool = True  # absent where frozen before it was asked: then nobody had looked


@dataclass(frozen=True, slots=True)
class CurrentConsent:
    """What the patient agrees to now."""

    automated_advice: bool
    human_only_care: bool
