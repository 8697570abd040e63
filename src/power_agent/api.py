"""Nomad's and Consul's HTTP APIs: one question, one answer, and errors in words."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from power_agent.configuration import Endpoint
from power_agent.errors import DriverError
from power_agent.http1 import Answer, MessageError, request


class Api:
    """One of the two, at one address.

    Args:
        name: for messages.
        endpoint: where it is, and the files with its token and certificates.
        token_field: in which it wants the token.
    """

    def __init__(self, name: str, endpoint: Endpoint, token_field: str) -> None:
        self._name, self._endpoint, self._token_field = name, endpoint, token_field

    async def ask(self, method: str, path: str, body: Any = None, *, within_s: float = 5.0) -> Answer:
        """Whatever it answers.

        Raises:
            DriverError: it does not answer, or says that it cannot (5xx).
        """
        end = self._endpoint
        try:
            fields = {self._token_field: _read(end.token_file)} if end.token_file else {}
            answer = await request(
                end.host, end.port, method, path, body=body, fields=fields, tls=_tls(end), within_s=within_s
            )
        except (OSError, TimeoutError, MessageError) as error:
            raise DriverError(f"{self._name} does not answer ({error or 'in time'})") from error
        if answer.status >= 500:
            said = answer.body[:200].decode(errors="replace").strip()
            raise DriverError(f"{self._name}: {said or answer.status}")
        return answer

    async def json(self, method: str, path: str, body: Any = None) -> Any:
        """Its answer as JSON; None where it is 404.

        Raises:
            DriverError: as ``ask``; or it refuses, or answers no JSON.
        """
        answer = await self.ask(method, path, body)
        if answer.status == 404:
            return None
        if answer.status != 200:
            said = answer.body[:200].decode(errors="replace").strip()
            raise DriverError(f"{self._name} refuses {path.partition('?')[0]}: {answer.status} {said}")
        try:
            return answer.json()
        except ValueError as error:
            raise DriverError(f"{self._name} answers no JSON") from error


def _read(file: Path) -> str:
    return file.read_text(encoding="ascii").strip()


def _tls(end: Endpoint) -> ssl.SSLContext | None:
    if end.ca_file is None:
        return None
    context = ssl.create_default_context(cafile=str(end.ca_file))
    if end.certificate_file is not None:
        context.load_cert_chain(end.certificate_file, end.key_file)
    return context
