"""The patient's web page: one frame; everything in it comes from the patient's API, as any phone would get it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from governance.domain import Permission
from governance.permissions import TABLE
from governance.services import acting_person

from ..domain.record import SymptomKind
from ..presenters import words


@require_safe
@never_cache
@login_required
@ensure_csrf_cookie
def me(request: HttpRequest) -> HttpResponse:
    """The frame, with the words for what can be felt."""
    symptoms = [(kind.value, words.symptom(kind)) for kind in SymptomKind]
    roles = acting_person(request.user, now=timezone.now()).standing.roles
    own = any((Permission.GIVE_CONSENT, role) in TABLE for role in roles)
    return render(request, "care_loops/me.html", {"symptoms": symptoms, "may_consent": own})
