"""What a name in a setting or a registry stands for: where its code lies, and the extra that it needs.

The code is imported only once it is chosen: on an old CPU an import can end the program.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipecatapp.errors import MissingExtraError
from pipecatapp.extras import EXTRAS


def is_installed(module: str) -> bool:
    """Whether a module can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of a registry.

    Attributes:
        target: ``module:name`` of the class or function.
        extra: the extra that brings its packages (``EXTRAS``); empty: it needs none.
    """

    target: str
    extra: str = ""

    @property
    def module(self) -> str:
        """The module of the target."""
        return self.target.partition(":")[0]

    def load(self) -> Any:
        """The class or function itself; imports its module."""
        return getattr(importlib.import_module(self.module), self.target.partition(":")[2])

    def need_extra(self, what: str, installed: Callable[[str], bool] = is_installed) -> None:
        """Make sure that its packages are here; ``what`` is how a person calls it.

        Raises:
            MissingExtraError: they are not; says how to install them.
        """
        if self.extra and not installed(EXTRAS[self.extra].module):
            raise MissingExtraError(what, self.extra)
