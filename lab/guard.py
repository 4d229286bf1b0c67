"""What every answer of the server passes: who may ask, and what the page may load (nothing from elsewhere)."""

from __future__ import annotations

import hmac
import os
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS, TOKEN = "VISIONARIUM_HOSTS", "VISIONARIUM_TOKEN"
"""Environment variables: host names the server answers to (comma separated), and the password beyond this machine."""

COOKIE = "visionarium"
HEALTH = "/_stcore/health"
"""Answered without the token, for it tells only that the server is up: a container's health check has no cookie."""
POLICY = "; ".join((
    "default-src 'self'",
    "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "media-src 'self' data: blob:",
    "worker-src 'self' blob:",
    "connect-src 'self' ws: wss: data: blob:",
    "frame-ancestors 'self'",
    "form-action 'self'",
    "base-uri 'self'",
))  # fmt: skip
"""Content-Security-Policy. Streamlit needs inline and evaluated scripts; other machines are never needed."""


class Guard:
    """Pure ASGI middleware, for HTTP and WebSocket alike.

    A foreign Host header is refused (it is how another web page would reach a server on this machine); where a token is
    set, it is asked for once (`?token=...`) and kept in a cookie.
    """

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = refuse(scope)
        if refusal is not None and scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4403})
        elif refusal is not None:
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, with_headers(send))


def refuse(scope: Scope) -> ASGIApp | None:
    """The answer to a request that may not pass, or None."""
    headers = Headers(scope=scope)
    host = headers.get("host", "").rsplit(":", 1)[0].strip("[]").lower()
    known = {"localhost", "127.0.0.1", "", "::1", *os.environ.get(HOSTS, "").lower().split(",")}
    if host not in known and "*" not in known:
        return PlainTextResponse(f"this server does not answer to {host!r}; start it with --host {host}", 421)
    token = os.environ.get(TOKEN)
    if not token or scope["path"] == HEALTH:
        return None
    cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    if cookie is not None and hmac.compare_digest(cookie.value, token):
        return None
    given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
    if hmac.compare_digest(given.encode(), token.encode()):
        welcome = RedirectResponse(scope["path"], 303)
        welcome.set_cookie(COOKIE, token, httponly=True, samesite="strict")
        return welcome
    return PlainTextResponse("this lab needs the link with ?token=... that it printed when it started", 401)


def with_headers(send: Send) -> Send:
    """`send` that adds the security headers to each HTTP answer."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = POLICY
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
        await send(message)

    return guarded
