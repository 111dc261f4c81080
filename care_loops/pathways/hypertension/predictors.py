"""The predictors of the pathway: the published titration protocols, behind the interface every later model uses.

Rules
 * A predictor's digest is over the bytes of the code and the table that make it, so that another protocol is another
   version. Only the version the registry has approved is called (N7).
 * The call goes through the breaker: a predictor that fails is a fault, never an answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files

from models.serving import Breaker, ModelDown, Served

from ...domain.changes import ModelRef, Prediction
from ...protocol import HOME_BP, TASMINH4, ProtocolView, home_bp, tasminh4
from .tables_therapy import protocols

Protocol = Callable[[ProtocolView, ModelRef], Prediction]
VERSION = "1"
_BREAKERS: dict[str, Breaker] = {}


def _home_bp(view: ProtocolView, model: ModelRef) -> Prediction:
    return home_bp(view, model=model, table=protocols())


def _tasminh4(view: ProtocolView, model: ModelRef) -> Prediction:
    return tasminh4(view, model=model, table=protocols())


PROTOCOLS: Mapping[str, Protocol] = {HOME_BP: _home_bp, TASMINH4: _tasminh4}


@cache
def digest_of(name: str) -> str:
    """SHA-256 (hex) over the protocol's name, its code and its table; empty for a name that is not here."""
    if name not in PROTOCOLS:
        return ""
    code = files("care_loops").joinpath("protocol.py").read_bytes()
    table = files(__package__).joinpath("data", "titration_protocols.json").read_bytes()
    return hashlib.sha256(b"\x00".join([name.encode(), code, table])).hexdigest()


def served(model: ModelRef, *, now: datetime) -> Callable[[ProtocolView], Prediction]:
    """The function that asks the approved version, through its breaker. One that is not what was approved is down."""
    if model.name not in PROTOCOLS or digest_of(model.name) != model.digest:
        return nobody
    answer = PROTOCOLS[model.name]
    predictor: Served[ProtocolView, Prediction] = Served(
        model.name, model.version, model.digest, lambda view: answer(view, model)
    )
    breaker = _BREAKERS.setdefault(model.digest, Breaker())
    return lambda view: breaker.call(predictor, view, now=now)


@cache
def card_of(name: str) -> Mapping[str, str]:
    """The model card of a protocol, as written by people."""
    cards = json.loads(files(__package__).joinpath("data", "cards.json").read_text(encoding="utf-8"))
    card: Mapping[str, str] = cards[name]
    return card


def unguarded(model: ModelRef) -> Callable[[ProtocolView], Prediction]:
    """The same function without breaker, for computing a past prediction again."""
    answer = PROTOCOLS[model.name]
    return lambda view: answer(view, model)


def nobody(_view: ProtocolView) -> Prediction:
    """No predictor: what was approved is not what is here."""
    raise ModelDown("the approved predictor is not the one installed")
