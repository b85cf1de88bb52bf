"""What a grain has in the store, beside what it is now: whether another save would say more."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from gpures_lab.grain.program_text import described

if TYPE_CHECKING:
    from gpures_lab.grain.directory import GrainManager
    from gpures_lab.grain.grain import Grain
    from gpures_lab.grain.store import Manifest
    from gpures_lab.grain.store.manifest import Json

__all__ = ["Kept", "programs_of", "with_durable"]

with_durable: set[GrainManager] = set()
"""Open managers with a durable grain: exit saves it, whether somebody holds them or not."""


class Kept(NamedTuple):
    """A grain's last checkpoint, as far as it is compared."""

    version: int
    """The grain's `_version` at that moment."""
    state: dict[str, Json]
    programs: dict[str, Json]

    @classmethod
    def of(cls, manifest: Manifest, version: int) -> Self:
        """Return what a manifest holds."""
        state = manifest.state if isinstance(manifest.state, dict) else {}
        return cls(version, state, dict(manifest.programs))

    def is_behind(self, grain: Grain, version: int) -> bool:
        """Whether the grain of this version has anything that is not kept.

        A program that nobody holds any more is no change: the checkpoint may well keep it.
        """
        if version != self.version or grain.state.snapshot() != self.state:
            return True
        now = programs_of(grain)
        return any(self.programs.get(name) != text for name, text in now.items())


def programs_of(grain: Grain) -> dict[str, Json]:
    """Return a grain's named programs as a checkpoint keeps them."""
    return grain._program_texts | {
        name: described(program) for name, program in list(grain._programs.items())
    }
