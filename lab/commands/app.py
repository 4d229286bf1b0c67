"""visionarium app"""

from __future__ import annotations

import argparse
import os
from typing import Any


def add(commands: Any) -> None:
    command = commands.add_parser("app", help="open the lab in the browser")
    command.add_argument(
        "--host", default="127.0.0.1", help="where to listen; beyond this machine a token is asked for"
    )
    command.add_argument("--port", type=int, default=8501)
    command.add_argument(
        "--trust-visitors", action="store_true",
        help="let visitors from other machines change every run, not only those that they started",
    )  # fmt: skip
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    if not 0 < given.port < 65536:
        raise ValueError(f"--port {given.port} cannot be; choose one from 1024 to 65535")
    from lab.asgi import serve
    from lab.parts.visitor import TRUST

    if given.trust_visitors:
        os.environ[TRUST] = "1"
    serve(given.host, given.port)
    return 0
