"""The entrance tells which type a device is. Once; a device does not become another type."""

from __future__ import annotations

from uuid import UUID

from ..models import KnownDevice


def know_device(device: str, device_type: str, *, entry: UUID) -> None:
    """Keep the type of a device, in the caller's transaction, under the entry with which it was added."""
    KnownDevice.objects.get_or_create(device=device, defaults={"device_type": device_type, "entry": entry})
