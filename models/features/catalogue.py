"""The features there are, which of them are on their way out, and which models that touches (DAT-05).

Rules
 * A name and version stand for one definition for ever: the same ref with another digest is refused.
 * Deprecating lists every model whose features include it, and nothing trains on it from then on. It serves on: models
   that use it go on until they are replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from .spec import BadSpec, FeatureSpec


class UnknownFeature(KeyError):
    """No feature of this name and version."""


class FeatureDeprecated(ValueError):
    """A model was to be trained on features that are on their way out; `refs` names them."""

    def __init__(self, refs: tuple[str, ...]) -> None:
        super().__init__(f"deprecated: {', '.join(refs)}")
        self.refs = refs


@dataclass(frozen=True, slots=True)
class Deprecation:
    """A feature on its way out, why, and the models that use it and have to be retrained."""

    ref: str
    reason: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every feature. Raises `BadSpec` for two definitions under one ref."""

    specs: tuple[FeatureSpec, ...]
    deprecated: tuple[Deprecation, ...] = ()

    def __post_init__(self) -> None:
        refs = [spec.ref for spec in self.specs]
        twice = sorted({ref for ref in refs if refs.count(ref) > 1})
        if twice:
            raise BadSpec(f"defined twice: {', '.join(twice)}")

    def spec(self, ref: str) -> FeatureSpec:
        """One feature by `name@version`. Raises `UnknownFeature`."""
        found = next((spec for spec in self.specs if spec.ref == ref), None)
        if found is None:
            raise UnknownFeature(ref)
        return found

    def users(self, ref: str, models: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
        """The models whose features include `ref`, in order. `models`: the refs each model was trained on."""
        self.spec(ref)
        return tuple(sorted(model for model, refs in models.items() if ref in set(refs)))

    def deprecate(self, ref: str, models: Mapping[str, Iterable[str]], *, reason: str) -> tuple[Catalogue, Deprecation]:
        """The catalogue with this feature on its way out, and whom that touches. Raises `UnknownFeature`, `BadSpec`."""
        if not reason.strip():
            raise BadSpec(f"{ref}: say why it goes")
        if any(gone.ref == ref for gone in self.deprecated):
            raise BadSpec(f"{ref}: deprecated already")
        made = Deprecation(ref, reason.strip(), self.users(ref, models))
        return replace(self, deprecated=(*self.deprecated, made)), made

    def check_trainable(self, refs: Iterable[str]) -> tuple[FeatureSpec, ...]:
        """The definitions to train on. Raises `UnknownFeature`, or `FeatureDeprecated`, which names those."""
        wanted = tuple(refs)
        specs = tuple(self.spec(ref) for ref in wanted)
        gone = {one.ref for one in self.deprecated}
        if found := tuple(ref for ref in wanted if ref in gone):
            raise FeatureDeprecated(found)
        return specs

    def changed(self, digests: Mapping[str, str]) -> tuple[str, ...]:
        """Which features a model names (ref to digest) are defined otherwise now, or not at all."""
        known = {spec.ref: spec.digest() for spec in self.specs}
        return tuple(sorted(ref for ref, digest in digests.items() if known.get(ref) != digest))
