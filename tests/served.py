"""The lab, served by a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 60_000
"""Milliseconds to wait for what must come; a busy machine is slow."""


class Server:
    """One app; `start` again after `kill` comes back on the same port. begin: what its process does first."""

    begin = ""

    def __init__(self, home, log):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.home, self.log = home, log
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = os.environ | {"VISIONARIUM_HOME": str(self.home), "PYTHONPATH": path}
        code = f"{self.begin}from lab.asgi import serve; serve(port={self.port})"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=5).close()
                return
            except OSError:
                time.sleep(0.2)
        raise TimeoutError(self.log.read_text())

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
