"""The door of every page of staff stands in `governance.views.door`; the pages here come in by it."""

from __future__ import annotations

from governance.views.door import AtWork, OtherForm, may, once, page, require, submitted
from governance.views.signing import StaffRequest

__all__ = ["AtWork", "OtherForm", "StaffRequest", "may", "once", "page", "require", "submitted"]
