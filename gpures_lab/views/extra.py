"""What to install when a view's packages are not there."""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["require"]


def require(what: str, *names: str) -> None:
    """Raise unless every package of ``names`` is installed.

    Raises
    ------
    ModuleNotFoundError
        The message names ``what`` needs it, and the extra that brings it.
    """
    for name in names:
        if find_spec(name) is None:
            raise ModuleNotFoundError(
                f"{what} needs {name}: pip install 'gpures_lab[jupyter]'", name=name
            )
