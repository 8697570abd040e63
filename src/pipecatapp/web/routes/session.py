"""Logging in and out: the printed link, the login form, the cookie."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from pipecatapp.web.access import client_address, is_secure, presented_session, session_cookie
from pipecatapp.web.auth import Access

WRONG = "That token is not the right one. On the machine itself, run: pipecatapp link"
OLD_TICKET = "That link was used already or is too old. Press the button on the plain page again, or use your token."
WAIT = "Too many wrong tokens came from your address. Try again in {} seconds."

_PROBLEM = "<!-- problem -->"


class LoginPages:
    """The login page, and what happens with a token that somebody brings."""

    def __init__(self, access: Access, page: Path) -> None:
        self._access = access
        self._page = page.read_text(encoding="utf-8")

    def page(self, problem: str = "", status: int = 401) -> Response:
        """The form; ``problem`` is one of our own sentences."""
        note = f'<p class="problem" role="alert">{problem}</p>' if problem else ""
        return HTMLResponse(self._page.replace(_PROBLEM, note), status)

    def try_token(self, request: Request, token: str) -> Response:
        """Trade a token for a session, and take it out of the address line."""
        client, secure = client_address(request.scope), is_secure(request.scope)
        wait = self._access.must_wait(client)
        # The right token always opens: who guesses from this address must not lock its owner out.
        if self._access.token_fits(token, client):
            return self._welcome(secure)
        if not wait:
            return self.page(WRONG)
        answer = self.page(WAIT.format(wait), 429)
        answer.headers["retry-after"] = str(wait)
        return answer

    def try_ticket(self, request: Request, ticket: str) -> Response:
        """The same with a ticket that the plain page gave out."""
        return self._welcome(is_secure(request.scope)) if self._access.ticket_fits(ticket) else self.page(OLD_TICKET)

    def _welcome(self, secure: bool) -> Response:
        redirect = RedirectResponse("/", 303)
        redirect.headers.append("set-cookie", session_cookie(self._access.sessions.new(), secure))
        return redirect

    async def sign_out(self, session: str, *, everywhere: bool) -> None:
        """End this session, or with it all others; one that does not fit ends nothing."""
        if not everywhere:
            await self._access.sessions.end(session)
        elif self._access.sessions.fits(session):
            await self._access.sign_out_everywhere()

    async def denied(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a browser that came without a session, perhaps with a token in the link."""
        request = Request(scope, receive)
        query = request.query_params if scope["path"] == "/" else {}
        if token := query.get("token"):
            answer = self.try_token(request, token)
        elif ticket := query.get("ticket"):
            answer = self.try_ticket(request, ticket)
        else:
            answer = self.page()
        await answer(scope, receive, send)


def create_router(pages: LoginPages) -> APIRouter:
    """Make the routes."""
    router = APIRouter()

    @router.get("/login")
    async def show_login(request: Request) -> Response:
        token = request.query_params.get("token")
        return pages.try_token(request, token) if token else pages.page(status=200)

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        return pages.try_token(request, form.get("token", [""])[0].strip())

    @router.post("/logout")
    async def log_out(request: Request) -> Response:
        session = presented_session(request.scope, request.headers)
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        await pages.sign_out(session, everywhere="everywhere" in form)
        redirect = RedirectResponse("/login", 303)
        redirect.headers.append("set-cookie", session_cookie("", is_secure(request.scope), max_age=0))
        return redirect

    return router
