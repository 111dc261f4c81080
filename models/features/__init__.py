"""Features: defined once, computed by one implementation, whether in bulk for training or one by one for serving.

Rules (DAT-04, DAT-05)
 * A `FeatureSpec` says what a number is: name, signal, unit, range, window, version, personal-data class, owner. Its
   digest is what a model names; another definition is another version.
 * `Rolling` is the only implementation. Bulk feeds it history in the order in which it became known; serving feeds it
   what arrives and keeps its state in between. Sums are whole numbers, so that no order of adding changes a bit.
 * A value joins at a moment only if it had happened and was known by then. What came later, or was corrected later,
   does not reach back. Nothing to compute from is `None`, never a number.
 * A deprecated feature names the models that use it, and nothing new trains on it.
"""

from .catalogue import Catalogue, Deprecation, FeatureDeprecated, UnknownFeature
from .rolling import Asked, BadHistory, Observed, Retracted, Rolling, in_bulk
from .spec import Aggregate, BadSpec, FeatureSpec, PersonalData

__all__ = [
    "Aggregate",
    "Asked",
    "BadHistory",
    "BadSpec",
    "Catalogue",
    "Deprecation",
    "FeatureDeprecated",
    "FeatureSpec",
    "Observed",
    "PersonalData",
    "Retracted",
    "Rolling",
    "UnknownFeature",
    "in_bulk",
]
