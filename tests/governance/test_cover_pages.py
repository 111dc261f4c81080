"""The rota on its page: who may write it, who stands in, what is uncovered; and one's own addresses."""

from datetime import timedelta

import pytest

from governance.cover import Rung
from governance.domain import BadInput, NotAllowed, NotFound, Role
from governance.models import OnCallShift, ShiftCover
from governance.selectors.notices import attended, on_call_now
from governance.services.notices import send_due
from governance.services.rota import add_shift, call_off, stand_in
from tests.governance.people import acting, founded, now, staff
from tests.governance.test_reaching_people import JOB, gateway, reached_by_sms  # noqa: F401
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db
FORMAT = "%Y-%m-%dT%H:%M"


@pytest.fixture
def admin():
    return founded(now() - timedelta(days=3))


@pytest.fixture
def ada(admin):
    return staff(Role.CLINICIAN, by=admin, at=now() - timedelta(days=2))


@pytest.fixture
def bo(admin):
    return staff(Role.CLINICIAN, by=admin, at=now() - timedelta(days=2))


def on_call(user, admin, *, at, hours=24, rung=Rung.ON_CALL):
    return add_shift(rung, user.pk, starts=at, ends=at + timedelta(hours=hours), by=acting(admin, at), now=at)


def test_an_administrator_writes_the_rota_on_its_page(admin, ada):
    desk = signed_in(admin)
    assert b"Nobody is on call." in desk.get("/cover/").content
    at = now().replace(second=0, microsecond=0)
    said = {"rung": "on_call_clinician", "user": ada.pk, "starts": at.strftime(FORMAT)}
    page = desk.post("/cover/shifts/", said | {"ends": (at - timedelta(hours=1)).strftime(FORMAT)})
    assert page.status_code == 400
    assert b"A shift ends after it starts." in page.content
    desk.post("/cover/shifts/", said | {"ends": (at + timedelta(hours=12)).strftime(FORMAT)})
    assert on_call_now(Rung.ON_CALL, now=at + timedelta(hours=1)) == (ada.pk,)
    page = desk.get("/cover/").content.decode()
    assert ada.printed_name in page
    assert "Nobody covers" in page  # the rest of the week


def test_a_clinician_stands_in_and_puts_nobody_else_there(admin, ada, bo):
    at = now()
    shift = on_call(ada, admin, at=at)
    desk = signed_in(bo)
    desk.post(
        f"/cover/shifts/{shift.pk}/stand-in/",
        {"starts": (at + timedelta(hours=2)).strftime(FORMAT), "ends": (at + timedelta(hours=4)).strftime(FORMAT)},
    )
    assert ShiftCover.objects.get().user_id == bo.pk
    assert on_call_now(Rung.ON_CALL, now=at + timedelta(hours=3)) == (bo.pk,)
    assert on_call_now(Rung.ON_CALL, now=at + timedelta(hours=5)) == (ada.pk,)
    with pytest.raises(NotAllowed):
        stand_in(shift.pk, starts=at, ends=at + timedelta(hours=1), by=acting(admin, at), now=at)
    with pytest.raises(NotAllowed):
        on_call(bo, ada, at=at)
    assert desk.post(f"/cover/shifts/{shift.pk}/off/").status_code == 403


def test_standing_in_beyond_the_shift_is_refused(admin, ada, bo):
    at = now()
    shift = on_call(ada, admin, at=at, hours=4)
    with pytest.raises(BadInput):
        stand_in(shift.pk, starts=at, ends=at + timedelta(hours=5), by=acting(bo, at), now=at)


def test_what_is_called_off_covers_nothing_and_is_not_called_off_twice(admin, ada):
    at = now()
    shift = on_call(ada, admin, at=at)
    call_off(shift.pk, by=acting(admin, at), now=at)
    assert on_call_now(Rung.ON_CALL, now=at) == ()
    with pytest.raises(NotFound):
        call_off(shift.pk, by=acting(admin, at), now=at)


@pytest.mark.parametrize("wrong", ["past", "too_long", "not_a_clinician"])
def test_a_shift_that_cannot_be_is_refused_by_name(admin, ada, wrong):
    at = now()
    times = {
        "past": (at - timedelta(hours=8), at),
        "too_long": (at, at + timedelta(days=8)),
        "not_a_clinician": (at, at + timedelta(hours=1)),
    }[wrong]
    who = admin if wrong == "not_a_clinician" else ada
    with pytest.raises(BadInput) as refused:
        add_shift(Rung.ON_CALL, who.pk, starts=times[0], ends=times[1], by=acting(admin, at), now=at)
    assert refused.value.extra["problem"] == wrong
    assert not OnCallShift.objects.exists()


def test_the_site_watches_when_every_hour_is_covered_and_a_test_went_through(admin, ada, gateway):  # noqa: F811
    at = now()
    assert attended(now=at).why_not == ("nobody_on_call", "channel_not_tested")
    reached_by_sms(ada, gateway, at)
    on_call(ada, admin, at=at, hours=23)
    desk = signed_in(ada)
    assert b"on the way" in desk.post("/cover/test/", follow=True).content
    send_due(by=JOB, now=now())
    assert attended(now=at).why_not == ("nobody_on_call",)  # one hour is missing
    on_call(ada, admin, at=at + timedelta(hours=23), hours=24)
    assert attended(now=now())
    assert b"Nobody can be sure" not in desk.get("/cover/").content


def test_one_adds_ones_own_address_on_a_page_and_confirms_it(ada, gateway):  # noqa: F811
    desk = signed_in(ada)
    assert b"None yet." in desk.get("/reach/").content
    page = desk.post("/reach/add/", {"channel": "sms", "address": "030"})
    assert (page.status_code, b"with its country" in page.content) == (400, True)
    desk.post("/reach/add/", {"channel": "sms", "address": "+49 30 123456"})
    page = desk.get("/reach/").content.decode()
    assert "+4930123456" in page
    point = ada.contact_points.get()
    assert desk.post(f"/reach/{point.pk}/confirm/", {"code": "1"}).status_code == 422
    code = next(iter(gateway.messages.values()))["text"].split()[4].rstrip(".")
    desk.post(f"/reach/{point.pk}/confirm/", {"code": code})
    assert "since" in desk.get("/reach/").content.decode()
    desk.post(f"/reach/{point.pk}/end/")
    assert b"None yet." in desk.get("/reach/").content


def test_while_a_channel_is_away_the_page_says_so_and_keeps_nothing(ada, gateway):  # noqa: F811
    gateway.answers = lambda _: 503
    page = signed_in(ada).post("/reach/add/", {"channel": "sms", "address": "+4930123456"})
    assert (page.status_code, b"could not be used just now" in page.content) == (503, True)


def test_nobody_sees_the_addresses_of_another(ada, bo, gateway):  # noqa: F811
    point = reached_by_sms(ada, gateway, now())
    desk = signed_in(bo)
    assert b"+4930123456" not in desk.get("/reach/").content
    assert desk.post(f"/reach/{point.pk}/end/").status_code == 404
