"""Candidates: what could be done, in which order, and what is kept barred."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from care_loops.candidates import assess, list_candidates, start_step, stop
from care_loops.domain.changes import STAY, ChangeKind
from care_loops.domain.record import Adherence, DrugClass
from care_loops.drugs import LowStart, LowStartFact
from care_loops.pathways.hypertension.tables_therapy import rulebook, table_refs
from tests.care_loops.therapy_cases import FORMULARY, NAMES, change, patient, symptom, takes, well

RULES = rulebook()


def written(who: str) -> list[str]:
    """Each candidate in a word: kind, drug, new dose, and the rules that bar it."""
    lines = []
    for candidate in list_candidates(patient(who), RULES):
        done = candidate.change
        dose = "" if done.new_daily_dose is None else f" {done.new_daily_dose.value}"
        bars = sorted({said.rule for said in candidate.spoken if said.severity == "hard_stop"})
        lines.append(f"{done.kind.value} {done.drug or '-'}{dose}" + (f" ! {' '.join(bars)}" if bars else ""))
    return lines


def test_a_patient_without_drugs_may_stay_or_begin_each_class_in_the_sites_order():
    assert written("") == [
        "stay -",
        "start lisinopril 10",
        "start losartan 50",
        "start amlodipine 5",
        "start indapamide 1.25",
        "start hydrochlorothiazide 12.5",
        "start spironolactone 12.5",
        "start bisoprolol 2.5",
    ]


def test_with_two_drugs_first_up_then_begin_then_down_then_stop_and_barred_ones_are_kept():
    assert written("with=amlodipine:5 with=lisinopril:10") == [
        "stay -",
        "step_up lisinopril 20",
        "step_up amlodipine 10",
        "start losartan 50 ! acei-with-arb",
        "start indapamide 1.25",
        "start hydrochlorothiazide 12.5",
        "start spironolactone 12.5",
        "start bisoprolol 2.5",
        "step_down amlodipine 2.5",
        "step_down lisinopril 5",
        "stop amlodipine",
        "stop lisinopril",
    ]


def test_at_the_ends_of_a_ladder_there_is_no_step():
    assert "step_up amlodipine ! top_of_ladder" in written("with=amlodipine:10")
    assert not [line for line in written("with=amlodipine:2.5") if line.startswith("step_down")]


@pytest.mark.parametrize("who", ["with=lisinopril:30", "with=lisinopril"])
def test_a_dose_on_no_rung_bars_every_increase_and_no_reduction(who):
    lines = written(who + " with=amlodipine:5")
    for line in lines:
        if line.startswith(("step_up", "start")):
            assert "dose_on_no_rung" in line
        else:
            assert "!" not in line
    assert ("step_down lisinopril 20" in lines) == (who == "with=lisinopril:30")


def test_another_form_of_metoprolol_is_not_stepped_on_the_ladder_of_the_succinate():
    tartrate = takes("metoprolol succinate ER", "100", product="866924")
    kinds = [c.change.kind for c in list_candidates(well(tartrate), RULES) if c.change.ingredient == "6918"]
    assert kinds == [ChangeKind.STEP_UP, ChangeKind.STOP]


def test_drugs_that_are_not_for_pressure_are_left_alone():
    changed = {c.change.drug for c in list_candidates(patient("with=ibuprofen with=lithium"), RULES)}
    assert not changed & {"ibuprofen", "lithium"}


def test_another_drug_for_pressure_can_be_stopped_only():
    assert [line for line in written("with=atenolol:50") if "atenolol" in line] == ["stop atenolol"]


# A beta-blocker, and clonidine, are left step by step: drug, daily dose | doses on the way | note
TAPERS = """
bisoprolol 10               | 5 2.5    | taper
bisoprolol 2.5              | 2.5      | taper_by_clinician
metoprolol_succinate_ER 200 | 100 50 25 | taper
carvedilol 50               | 25 12.5  | taper
atenolol 50                 | 50       | taper_by_clinician
clonidine                   |          | taper_by_clinician
amlodipine 10               |          |
"""


@pytest.mark.parametrize("line", TAPERS.strip().splitlines())
def test_what_is_stopped_step_by_step(line):
    drug, doses, note = (cell.strip() for cell in line.split("|"))
    name, _, dose = drug.partition(" ")
    done = stop(takes(name.replace("_", " "), dose or None), RULES)
    assert ([str(step.value) for step in done.taper], done.note or "") == (doses.split(), note)


# Where a drug begins: drug | patient | first dose
STARTS = """
lisinopril | -                    | 10
lisinopril | with=indapamide:1.25 | 5
lisinopril | with=furosemide      | 5
lisinopril | egfr=29              | 5
lisinopril | egfr=30              | 10
lisinopril | egfr=?               | 5
lisinopril | volume_depletion     | 5
amlodipine | age=80               | 2.5
amlodipine | age=79               | 5
amlodipine | age=?                | 2.5
amlodipine | frailty              | 2.5
ramipril   | egfr=39              | none
ramipril   | egfr=40              | 2.5
enalapril  | with=furosemide      | none
bisoprolol | age=90               | 2.5
"""


@pytest.mark.parametrize("line", STARTS.strip().splitlines())
def test_where_a_drug_begins(line):
    name, who, dose = (cell.strip() for cell in line.split("|"))
    drug = FORMULARY.drug(NAMES[name][0])
    assert drug is not None
    step = start_step(drug, patient("" if who == "-" else who))
    assert (str(step.daily_dose.value) if step else "none") == dose


def test_a_class_whose_lower_start_is_missing_is_shown_barred():
    order = tuple(replace(n, ingredient="35296") if n.ingredient == "29046" else n for n in RULES.order)
    offered = list_candidates(patient("egfr=35"), replace(RULES, order=order))
    ramipril = next(c for c in offered if c.change.drug == "ramipril")
    assert ramipril.barred
    assert ramipril.spoken[0].rule == "no_low_start"


def test_an_order_that_names_an_unlisted_drug_is_a_bug():
    wrong = replace(RULES, order=(replace(RULES.order[0], ingredient="1998"),))
    with pytest.raises(ValueError, match="not in the formulary"):
        list_candidates(well(), wrong)


def test_a_limit_belongs_to_facts_that_have_one():
    with pytest.raises(ValueError, match="limit"):
        LowStart(LowStartFact.AGE_FROM)


def timings(situation) -> list[str]:
    return [
        f"{c.change.drug}: {c.change.note}"
        for c in list_candidates(situation, RULES)
        if c.change.kind is ChangeKind.TIMING
    ]


def test_another_time_of_intake_is_offered_for_a_side_effect_and_for_missed_doses_only():
    usual = well(takes("lisinopril", "10"), takes("indapamide", "1.25"))
    assert timings(usual) == []
    blamed = replace(usual, symptoms=(symptom("dizziness", ago=1, blames="lisinopril"),))
    assert timings(blamed) == ["lisinopril: take_in_the_evening"]
    diuretic = replace(usual, symptoms=(symptom("fatigue", ago=1, blames="indapamide"),))
    assert timings(diuretic) == ["indapamide: take_in_the_morning"]
    seen = replace(usual, symptoms=(symptom("dizziness", ago=1, blames="lisinopril", reviewed=True),))
    assert timings(seen) == []
    assert len(timings(replace(usual, adherence=Adherence(taken=79, due=100)))) == 2
    assert timings(replace(usual, adherence=Adherence(taken=80, due=100))) == []
    assert timings(replace(usual, adherence=None)) == []


def test_a_timing_changes_no_dose():
    blamed = replace(well(takes("lisinopril", "10")), symptoms=(symptom("dizziness", ago=1, blames="lisinopril"),))
    timing = next(c.change for c in list_candidates(blamed, RULES) if c.change.kind is ChangeKind.TIMING)
    assert (timing.steps, timing.old_daily_dose) == (0, timing.new_daily_dose)


def test_a_clinicians_own_change_is_assessed_by_the_same_rules():
    own = assess(change("up lisinopril"), patient("potassium=5.1 gout"), RULES)
    assert own.barred
    assert assess(change("stop lisinopril"), patient("potassium=6.5 danger"), RULES).spoken == ()


drug_lists = st.lists(
    st.sampled_from([(d.name, str(s.daily_dose.value)) for d in FORMULARY.titrated for s in d.steps]), max_size=4
).map(lambda pairs: list(dict(pairs).items()))
troubles = st.lists(
    st.sampled_from(
        ["pregnancy=pregnant", "danger", "unknown-drug", "potassium=6.5", "potassium=?", "asthma", "age=?", "pulse=?"]
    ),
    max_size=3,
)


@given(drug_lists, troubles)
def test_reductions_and_stops_are_never_barred_and_beta_blocker_stops_carry_a_taper(drugs, trouble):
    situation = patient(" ".join(trouble), base=well(*(takes(name, dose) for name, dose in drugs)))
    offered = list_candidates(situation, RULES)
    assert offered[0].change == STAY
    reductions = [c for c in offered if c.change.reduces]
    assert not [c for c in reductions if c.spoken]
    assert {c.change.ingredient for c in reductions if c.change.kind is ChangeKind.STOP} == {
        taken.ingredient for taken in situation.regimen.drugs
    }
    for candidate in reductions:
        if candidate.change.kind is ChangeKind.STOP and candidate.change.drug_class is DrugClass.BETA_BLOCKER:
            assert candidate.change.taper
            assert candidate.change.note


@given(drug_lists, troubles)
def test_an_increase_is_one_step_on_a_ladder_within_the_guideline_maximum_with_its_product(drugs, trouble):
    situation = patient(" ".join(trouble), base=well(*(takes(name, dose) for name, dose in drugs)))
    for candidate in list_candidates(situation, RULES):
        done, drug = candidate.change, FORMULARY.drug(candidate.change.ingredient)
        if not done.intensifies or candidate.barred:
            continue
        assert drug is not None
        assert done.new_daily_dose is not None
        assert done.new_daily_dose <= drug.guideline_max
        step = drug.step_at(done.new_daily_dose)
        assert step is not None
        assert (done.steps, done.product) == (1, step.product)


def test_the_tables_in_force_are_named_by_their_bytes():
    refs = table_refs()
    assert len({ref.digest for ref in refs}) == len(refs) == 10
    assert all(ref.version for ref in refs)
