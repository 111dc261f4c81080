"""The doors for devices: enrolment and batches, and for staff the list of what was refused."""

from __future__ import annotations

from .batches import BatchDoor
from .enrolment import EnrolmentDoor
from .refused import RefusedDoor

__all__ = ["BatchDoor", "EnrolmentDoor", "RefusedDoor"]
