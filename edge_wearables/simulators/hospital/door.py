"""The device doors of the play: the real views, called in this process, with the play's clock instead of the machine's.

Rules
 * The path is looked up in the real URL table and its view is asked as it stands; only the clock differs.
 * Where the pathway is not in simulation this refuses: simulated time cannot reach a record that is not simulated.
 * Each device knocks from an address of its own, as devices in homes do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from io import BytesIO
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.urls import resolve

from governance.domain import Refusal
from governance.selectors import site_mode

from ...runtime import Reply

MODE = "simulation"


class NotSimulated(Refusal):
    """The site is not in simulation."""

    code = "not_in_simulation"


class SimulatedDoor:
    """A `Line` into this process at a simulated moment."""

    def __init__(self, clock: Callable[[], datetime], *, address: str) -> None:
        self.clock, self.address = clock, address

    def post(self, path: str, *, headers: Mapping[str, str], body: bytes) -> Reply:
        """Ask the view of this path. Raises `NotSimulated`."""
        if site_mode(now=self.clock()) != MODE:
            raise NotSimulated("This site is not in simulation: nothing is played here.")
        view: Any = resolve(path).func
        response = view.view_class.as_view(clock=self.clock)(self._request(path, headers, body))
        response = response.render() if hasattr(response, "render") else response
        return Reply(response.status_code, bytes(response.content))

    def _request(self, path: str, headers: Mapping[str, str], body: bytes) -> WSGIRequest:
        named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        return WSGIRequest(
            {
                "REQUEST_METHOD": "POST",
                "PATH_INFO": path,
                "SERVER_NAME": "localhost",
                "SERVER_PORT": "80",
                "REMOTE_ADDR": self.address,
                "CONTENT_TYPE": "application/json",
                "CONTENT_LENGTH": str(len(body)),
                "wsgi.input": BytesIO(body),
                "wsgi.url_scheme": "http",
            }
            | named
        )
