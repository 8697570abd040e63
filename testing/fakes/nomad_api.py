"""A scripted Nomad API: answers by request, in turn, and a list of what was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class ScriptedNomad:
    """Stands in for ``nomad_http.Nomad``.

    Args:
        answers: by ``METHOD /path`` what is answered, one after the other; the last one stays. An exception is raised.
    """

    def __init__(self, answers: Mapping[str, Sequence[Any]]) -> None:
        self._answers = {request: list(given) for request, given in answers.items()}
        self.asked: list[tuple[str, Any]] = []

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """The next answer. A request that the script does not have is a mistake of the test or of the module."""
        name = f"{method} {path}"
        self.asked.append((name, body))
        given = self._answers[name]
        answer = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def get(self, path: str) -> Any:
        """As ``request``."""
        return self.request("GET", path)

    def state(self, path: str) -> Any:
        """As ``get``; a report that is bad is an answer here anyway."""
        return self.request("GET", path)

    def find(self, path: str) -> Any:
        """As ``get``; None is for what is not there."""
        return self.request("GET", path)

    def patiently(self, method: str, path: str, body: Any = None, *, limit: float = 0) -> Any:
        """As ``request``, without patience."""
        return self.request(method, path, body)

    def written(self) -> list[str]:
        """The requests that were no questions."""
        return [name for name, _ in self.asked if not name.startswith("GET ")]
