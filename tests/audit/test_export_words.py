"""The names that a manifest gives for accounts: one line each, in the one spelling, few enough, and from the site."""

from audit import canonical
from audit.services.export_words import for_people
from tests.audit.builders import DR_LEE

NAMES = {
    "0198-a": "Ada\u0301  Li\tde\u200b la\nCruz",
    "0198-b": "x" * 5000,
    "0198-c": "\u202e \n",
    "Ü": "No key can be made of this",
    "": "Nobody",
}


def names(accounts: list[str]) -> dict[str, str]:
    """The site's reader of names, as the setting names one."""
    return {each: NAMES.get(each, "B" * 100) for each in accounts}


def test_names_are_one_line_each_and_canonical(settings):
    settings.AUDIT_NAMES, settings.PUBLIC_URL = f"{__name__}.names", ""
    said = for_people(NAMES)
    assert said == {"name_0198_a": "Ad\u00e1 Li de la Cruz", "name_0198_b": "x" * 100}
    assert canonical.dumps(said)


def test_however_many_there_are_the_manifest_stays_small(settings):
    settings.AUDIT_NAMES = f"{__name__}.names"
    said = for_people(f"account-{n}" for n in range(5000))
    assert 100 < len(said) < 400
    assert sum(len(key) + len(name) for key, name in said.items()) < 32_000


def test_without_a_reader_of_names_or_an_address_nothing_is_said(settings):
    settings.AUDIT_NAMES, settings.PUBLIC_URL = "", ""
    assert for_people([DR_LEE.id]) == {}
    settings.PUBLIC_URL = "https://ward.example"
    assert for_people([]) == {"verify_url": "https://ward.example/audit/verify/"}
