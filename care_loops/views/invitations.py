"""The page behind an invitation's link: who you are, how you will sign in, and nothing else."""

from __future__ import annotations

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from governance.domain import Amr, Refusal
from governance.services.accounts import AccountUnusable, InvitationOver, NewAccount, open_invitation
from governance.views.accounts import enter

from ..services.joining import join_by_invitation


class JoinForm(forms.Form):
    """What the invited person chooses."""

    username = forms.CharField(label="User name", max_length=150, widget=forms.TextInput({"autocomplete": "username"}))
    given_name = forms.CharField(max_length=150, widget=forms.TextInput({"autocomplete": "given-name"}))
    family_name = forms.CharField(max_length=150, widget=forms.TextInput({"autocomplete": "family-name"}))
    password = forms.CharField(
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        help_text="At least 12 characters, not a common word.",
    )
    again = forms.CharField(
        label="Password once more", strip=False, widget=forms.PasswordInput({"autocomplete": "new-password"})
    )

    def clean(self) -> dict[str, object]:
        """Both passwords are the same."""
        found = super().clean() or {}
        if found.get("password") and found.get("again") and found["password"] != found["again"]:
            self.add_error("again", "The two passwords differ.")
        return found


@never_cache
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show the form; make the account once it is filled in, and sign its owner in."""
    now = timezone.now()
    form = JoinForm(request.POST or None)
    try:
        found = open_invitation(token, now=now)
        if request.method == "POST" and form.is_valid():
            said = form.cleaned_data
            new = NewAccount(
                username=said["username"],
                given_name=said["given_name"],
                family_name=said["family_name"],
                password=said["password"],
            )
            signed_in = request.user if request.user.is_authenticated else None
            user = join_by_invitation(token, new, now=now, signed_in=signed_in)
            enter(request, user, [Amr.INVITATION, Amr.PASSWORD])
            return redirect("/")
    except InvitationOver as over:
        return render(request, "care_loops/invitation_over.html", {"refusal": over}, status=over.status)
    except AccountUnusable as unusable:
        named = str(unusable.extra.get("field", ""))
        form.add_error(_FIELDS.get(named), unusable.detail)
    except Refusal as refusal:
        form.add_error(None, refusal.detail)
    status = 422 if form.errors else 200
    return render(request, "care_loops/invitation.html", {"form": form, "invitation": found}, status=status)


_FIELDS = {"username": "username", "password": "password", "first_name": "given_name", "last_name": "family_name"}
