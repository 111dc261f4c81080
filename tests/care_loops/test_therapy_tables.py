"""The therapy tables: each way in which a file can be wrong keeps it from loading."""

from __future__ import annotations

from dataclasses import replace

import pytest

from care_loops.contraindications import Predicate, check
from care_loops.drugs import Drug, Formulary
from care_loops.guardrails import interval
from care_loops.lab_rules import LabAdvice
from care_loops.pathways.hypertension.table_files import count_of, decimal_of, read_table, words_of
from care_loops.pathways.hypertension.tables_drugs import build_formulary
from care_loops.pathways.hypertension.tables_therapy import (
    BadTable,
    build_contraindications,
    build_lab_rules,
    contraindications,
    formulary,
    limits,
    rulebook,
    site_order,
)
from tests.care_loops.therapy_cases import change, patient, well

FORMULARY = formulary()
LISINOPRIL: Drug = FORMULARY.titrated[0]


def rows(name: str):
    return read_table(name).rows


def test_a_number_is_written_as_text_a_count_as_a_number_and_a_list_as_a_list():
    for read, value in [(decimal_of, 5), (count_of, "5"), (count_of, True), (words_of, "a")]:
        with pytest.raises(BadTable):
            read({"x": value}, "x")


def test_rungs_are_numbered_in_order_and_belong_to_a_listed_drug():
    tables = {"drugs": rows("drugs"), "steps": rows("drug_steps"), "others": (), "products": ()}
    assert len(build_formulary(**tables).titrated) == 17
    for steps in [tables["steps"][1:], tables["steps"][::-1]]:
        with pytest.raises(BadTable, match="numbered"):
            build_formulary(**{**tables, "steps": steps})
    with pytest.raises(BadTable, match="not listed"):
        build_formulary(**{**tables, "drugs": tables["drugs"][1:]})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"steps": ()}, "rungs must rise"),
        ({"steps": LISINOPRIL.steps[::-1]}, "rungs must rise"),
        ({"guideline_max": LISINOPRIL.steps[0].daily_dose}, "must not cross"),
        ({"label_max": LISINOPRIL.steps[0].daily_dose}, "must not cross"),
        ({"start": LISINOPRIL.label_max}, "on the ladder"),
        ({"low_start": LISINOPRIL.label_max}, "on the ladder"),
    ],
)
def test_a_drug_whose_doses_contradict_each_other_cannot_be_written(changed, words):
    with pytest.raises(ValueError, match=words):
        replace(LISINOPRIL, **changed)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"titrated": FORMULARY.titrated * 2}, "ingredient is listed twice"),
        ({"products": FORMULARY.products * 2}, "product is listed twice"),
        ({"others": ()}, "unlisted ingredients"),
    ],
)
def test_a_formulary_lists_each_thing_once(changed, words):
    with pytest.raises(ValueError, match=words):
        replace(FORMULARY, **changed)
    assert isinstance(FORMULARY, Formulary)


def test_a_row_id_is_used_once():
    twice = rows("contraindications") * 2
    with pytest.raises(BadTable, match="twice"):
        build_contraindications(rows=twice, interactions=rows("interactions"), known=FORMULARY)


def test_an_interaction_has_two_sides():
    one_sided = (
        {**rows("interactions")[0], "groups": [{"classes": ["arb"], "ingredients": [], "dose_over_mg": None}]},
    )
    with pytest.raises(BadTable, match="two sides"):
        build_contraindications(rows=rows("contraindications"), interactions=one_sided, known=FORMULARY)


def test_a_lab_number_is_written_once_and_none_is_missing():
    with pytest.raises(BadTable, match="twice"):
        build_lab_rules(rows("lab_rules") * 2)
    with pytest.raises(TypeError, match="missing"):
        build_lab_rules(rows("lab_rules")[1:])


def test_the_places_of_the_sites_order_are_numbered():
    places = [row for row in rows("titration_protocols") if row["about"] == "next_class"]
    assert site_order(places) == rulebook().order
    with pytest.raises(BadTable, match="numbered"):
        site_order(places[1:])


@pytest.mark.parametrize(("predicate", "who"), [(Predicate.AGE_BELOW, ""), (Predicate.CREATININE_ABOVE, "sex=female")])
def test_a_row_that_needs_a_number_and_has_none_is_a_bug(predicate, who):
    row = next(row for row in contraindications().rows if row.predicate is predicate)
    table = replace(contraindications(), rows=(replace(row, limit=None, limit_not_male=None, classes=()),))
    with pytest.raises(ValueError, match="needs"):
        check(change("start lisinopril"), patient(who), table)


def test_a_guardrail_without_its_number_is_a_bug():
    from tests.care_loops.test_guardrails import UP, evidence

    bare = replace(limits(), rows=tuple(replace(row, absolute=None) for row in limits().rows))
    with pytest.raises(ValueError, match="no number"):
        interval(UP, evidence(patient("changed=amlodipine@3"), limits=bare))


def test_advice_about_a_drug_that_is_not_taken_changes_nothing():
    from tests.care_loops.test_protocol import MODEL, TABLE, home_bp, view

    advice = LabAdvice(
        "29046",
        change("down lisinopril").kind,
        check(change("up lisinopril"), patient("danger"), contraindications())[0],
    )
    looked_at = replace(view("130/80@0", well()), lab_advice=(advice,))
    assert home_bp(looked_at, model=MODEL, table=TABLE).reasons == ("in_target",)
