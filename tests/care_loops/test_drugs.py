"""The formulary against CLINICAL 1.6: seventeen drugs, their ladders, and what an unknown code means."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from care_loops.domain.record import DrugClass, DrugTaken, Regimen
from care_loops.domain.units import Milligrams
from care_loops.drugs import Step, position
from care_loops.pathways.hypertension.tables_therapy import BadTable, formulary, parse_table, read_table

# Drug, class, code, rungs in mg a day, start, guideline maximum, label maximum: read off CLINICAL 1.6 by hand.
LADDERS = """
lisinopril              | ace_inhibitor | 29046  | 5 10 20 40      | 10   | 40  | 80
enalapril               | ace_inhibitor | 3827   | 5 10 20 40      | 5    | 40  | 40
ramipril                | ace_inhibitor | 35296  | 2.5 5 10 20     | 2.5  | 20  | 20
losartan                | arb           | 52175  | 25 50 100       | 50   | 100 | 100
valsartan               | arb           | 69749  | 80 160 320      | 80   | 320 | 320
telmisartan             | arb           | 73494  | 20 40 80        | 40   | 80  | 80
candesartan             | arb           | 214354 | 8 16 32         | 16   | 32  | 32
amlodipine              | dhp_ccb       | 17767  | 2.5 5 10        | 5    | 10  | 10
nifedipine ER           | dhp_ccb       | 7417   | 30 60 90        | 30   | 90  | 90
chlorthalidone          | thiazide_like | 2409   | 12.5 25         | 12.5 | 25  | 100
indapamide              | thiazide_like | 5764   | 1.25 2.5        | 1.25 | 2.5 | 5
hydrochlorothiazide     | thiazide      | 5487   | 12.5 25 50      | 12.5 | 50  | 50
spironolactone          | mra           | 9997   | 12.5 25 50      | 12.5 | 100 | 100
eplerenone              | mra           | 298869 | 50 100          | 50   | 100 | 100
metoprolol succinate ER | beta_blocker  | 6918   | 25 50 100 200   | 25   | 200 | 400
bisoprolol              | beta_blocker  | 19484  | 2.5 5 10        | 2.5  | 10  | 20
carvedilol              | beta_blocker  | 20352  | 12.5 25 50      | 12.5 | 50  | 50
"""
ROWS = [[cell.strip() for cell in line.split("|")] for line in LADDERS.strip().splitlines()]
FORMULARY = formulary()


def taken(ingredient: str, dose: str | None, product: str | None = None) -> DrugTaken:
    drug = FORMULARY.drug(ingredient)
    assert drug is not None
    return DrugTaken(
        ingredient=ingredient,
        name=drug.name,
        drug_class=drug.drug_class,
        daily_dose=None if dose is None else Milligrams.of(dose),
        since=None,
        product=product,
    )


@pytest.mark.parametrize(
    ("name", "drug_class", "code", "rungs", "start", "top", "label"), ROWS, ids=[r[0] for r in ROWS]
)
def test_each_drug_has_the_ladder_written_in_the_clinical_note(name, drug_class, code, rungs, start, top, label):
    drug = FORMULARY.drug(code)
    assert drug is not None
    assert (drug.name, drug.drug_class.value) == (name, drug_class)
    assert [str(step.daily_dose.value) for step in drug.steps] == rungs.split()
    assert [drug.start.value, drug.guideline_max.value, drug.label_max.value] == [
        Decimal(start),
        Decimal(top),
        Decimal(label),
    ]


def test_there_are_seventeen_drugs_and_no_other():
    assert [drug.name for drug in FORMULARY.titrated] == [row[0] for row in ROWS]


PRODUCTS = """
311354 | 29046 | 5      one tablet of lisinopril 5
310798 | 5487  | 25     hydrochlorothiazide 25
308136 | 17767 | 2.5    amlodipine 2.5
197361 | 17767 | 5      amlodipine 5
866412 | 6918  | 100    metoprolol succinate ER 100
866414 | 6918  | 100    its brand
316049 | 5487  | 25     hydrochlorothiazide 25 named without a form
310965 | 5640  | 200    ibuprofen, which interacts
"""


@pytest.mark.parametrize("line", PRODUCTS.strip().splitlines())
def test_a_product_code_names_one_ingredient_and_one_strength(line):
    code, ingredient, rest = (cell.strip() for cell in line.split("|"))
    known = FORMULARY.recognise(code)
    assert known is not None
    assert known.ingredient == ingredient
    assert known.strength == Milligrams.of(rest.split()[0])
    assert known.product == code


def test_an_ingredient_code_is_recognised_without_a_strength():
    known = FORMULARY.recognise("29046")
    assert known is not None
    assert (known.name, known.titrated, known.product, known.strength) == ("lisinopril", True, None, None)


@pytest.mark.parametrize("code", ["197885", "lisinopril", "", "0", "999999999", "1000156"])
def test_a_code_on_no_list_is_unknown_and_so_are_combinations_and_names(code):
    assert FORMULARY.recognise(code) is None  # 197885 is hydrochlorothiazide with lisinopril


def test_a_dose_between_rungs_has_no_position_and_is_named():
    lisinopril = FORMULARY.drug("29046")
    assert lisinopril is not None
    assert position(lisinopril, Milligrams.of(20)) == 2
    assert position(lisinopril, Milligrams.of(30)) is None
    regimen = Regimen(drugs=(taken("29046", "30"), taken("17767", "5"), taken("5487", None)), unknown=())
    assert FORMULARY.unplaced(regimen) == ("lisinopril", "hydrochlorothiazide")


@pytest.mark.parametrize(("product", "rung"), [("866412", 2), ("866414", 2), (None, None), ("866924", None)])
def test_metoprolol_stands_on_a_rung_only_when_the_record_says_it_is_the_succinate(product, rung):
    assert FORMULARY.position_of(taken("6918", "100", product)) == rung


def test_an_equal_dose_written_with_more_zeros_is_the_same_rung():
    assert FORMULARY.position_of(taken("29046", "20.00")) == 2


doses = st.decimals(min_value="0.1", max_value=400, places=1).map(Milligrams)


@given(drug=st.sampled_from(FORMULARY.titrated), dose=doses)
def test_the_rung_above_is_higher_the_rung_below_lower_and_none_over_the_guideline_maximum(drug, dose):
    above, below = drug.step_above(dose), drug.step_below(dose)
    assert above is None or dose < above.daily_dose <= drug.guideline_max
    assert below is None or below.daily_dose < dose
    assert (above is None) == (dose >= drug.steps[-1].daily_dose)
    assert (below is None) == (dose <= drug.steps[0].daily_dose)


def test_a_rung_whose_tablets_do_not_add_up_cannot_be_written():
    rung = FORMULARY.titrated[0].steps[0]
    with pytest.raises(ValueError, match="is taken"):
        Step(Milligrams.of(15), rung.product, rung.product_strength, rung.units_per_intake, 1, rung.source)


def test_classes_that_interact_are_recognised():
    classes = {other.drug_class for other in FORMULARY.others}
    assert {
        DrugClass.NSAID, DrugClass.LITHIUM, DrugClass.TRIMETHOPRIM, DrugClass.POTASSIUM_SUPPLEMENT,
        DrugClass.POTASSIUM_SPARING, DrugClass.NON_DHP_CCB, DrugClass.RENIN_INHIBITOR, DrugClass.ARNI,
        DrugClass.STATIN, DrugClass.CYP3A4_INHIBITOR, DrugClass.LOOP_DIURETIC,
    } <= classes  # fmt: skip


@pytest.mark.parametrize(
    ("ingredient", "lowers"), [("29046", True), ("4603", True), ("5640", False), ("161", False), ("0", False)]
)
def test_which_recognised_drugs_lower_pressure(ingredient, lowers):
    assert FORMULARY.lowers_pressure(ingredient) is lowers


GOOD = b'{"table": "t", "version": "1", "note": "n", "rows": [{"a": 1, "citation": "c", "mark": "checked"}]}'


@pytest.mark.parametrize(
    "broken",
    [
        GOOD.replace(b'"citation": "c", ', b""),
        GOOD.replace(b'"checked"', b'"probably"'),
        GOOD.replace(b', "mark": "checked"', b""),
        GOOD.replace(b'"version": "1", ', b""),
        GOOD.replace(b'"table": "t"', b'"table": "u"'),
        GOOD.replace(b'"a": 1', b'"a": 1.5'),
        GOOD.replace(b'[{"a": 1, "citation": "c", "mark": "checked"}]', b"[]"),
    ],
)
def test_a_table_without_version_citation_or_mark_does_not_load(broken):
    assert len(parse_table("t", GOOD).rows) == 1
    with pytest.raises(BadTable):
        parse_table("t", broken)


def test_the_digest_is_of_the_bytes():
    assert parse_table("t", GOOD).ref.digest != parse_table("t", GOOD.replace(b'"a": 1', b'"a": 2')).ref.digest
    assert len(read_table("drugs").ref.digest) == 64


def test_the_reference_has_a_line_for_each_drug():
    head, *rows = FORMULARY.reference_rows()
    assert len(rows) == 17
    assert all(len(row) == len(head) for row in rows)
