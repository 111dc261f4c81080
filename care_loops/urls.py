"""Every address of this app: programs under /api/v1/, people everywhere else."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from .api_urls import patient_pages

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include("care_loops.api_urls")),
    *patient_pages,
    path("", include("care_loops.page_urls")),
]
