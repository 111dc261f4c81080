"""Where devices knock, and where staff look at what was refused there."""

from __future__ import annotations

from django.urls import path

from . import views
from .api import BatchDoor, EnrolmentDoor, RefusedDoor

urlpatterns = [
    path("api/v1/devices/batches", BatchDoor.as_view(), name="device-batches"),
    path("api/v1/devices/enrol", EnrolmentDoor.as_view(), name="device-enrol"),
    path("api/v1/devices/refused", RefusedDoor.as_view(), name="device-refused"),
    path("quarantine/devices/", views.refused_page, name="refused-from-devices"),
]
