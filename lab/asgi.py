"""The server: Streamlit's pages and our `/api` routes on one port. `python -m lab.asgi` or `uvicorn lab.asgi:app`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import streamlit as st
import uvicorn
from starlette.middleware import Middleware

from engine.threads import wait_asleep
from lab.api import ROUTES
from lab.guard import HOSTS, TOKEN, Guard
from lab.runs.leftovers import sweep_up

wait_asleep()
app = st.App(Path(__file__).with_name("app.py"), routes=ROUTES, middleware=[Middleware(Guard)])

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(host: str = "127.0.0.1", port: int = 8501) -> None:
    """Serve until stopped. Beyond this machine a token is required; it is in the link that is printed."""
    query = ""
    if host not in LOOPBACK:
        os.environ.setdefault(HOSTS, "*" if host in ("0.0.0.0", "::") else host)
        query = "?token=" + os.environ.setdefault(TOKEN, secrets.token_urlsafe(16))
    print(f"Visionarium is open at http://{'localhost' if host in LOOPBACK else host}:{port}/{query}", flush=True)
    sweep_up()
    uvicorn.run(app, host=host, port=port, log_level="warning")


if __name__ == "__main__":
    serve()
