"""A headless Chromium that tests can look through and type into, over its debugging pipe: no driver, no port."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from itertools import count
from pathlib import Path
from select import select
from types import TracebackType
from typing import Any

from tests.patience import PATIENCE

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"),
]
PIPES = 'exec "$0" "$@" 3</dev/fd/{} 4>/dev/fd/{}'
"""The browser reads commands from 3 and writes answers to 4."""


class Chromium:
    """One page. A context manager; what the page complains of is kept in `complaints`."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM
        (commands, self._commands), (self._answers, answers) = os.pipe(), os.pipe()
        words = ["sh", "-c", PIPES.format(commands, answers), CHROMIUM, *FLAGS, f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(
            words, pass_fds=(commands, answers), stderr=subprocess.DEVNULL, start_new_session=True
        )
        os.close(commands)
        os.close(answers)
        self._numbers, self._unread, self.complaints = count(1), b"", list[str]()
        self._session: dict[str, str] = {}
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def __enter__(self) -> Chromium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # its own session, so its own group: it and its children
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)

    def ask(self, method: str, **given: Any) -> dict[str, Any]:
        """The result of one command (chromedevtools.github.io/devtools-protocol)."""
        number = next(self._numbers)
        os.write(
            self._commands,
            json.dumps({"id": number, "method": method, "params": given} | self._session).encode() + b"\0",
        )
        while True:
            told = self._next()
            if told.get("id") == number:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result

    def open(self, address: str) -> None:
        """Show a page, and wait until it is loaded."""
        self.ask("Page.navigate", url=address)
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def see(self, expression: str) -> Any:
        """What a JavaScript expression is in the page."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """A key, down and up again, wherever the focus is."""
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def resize(self, width: int) -> None:
        """Make the window, or the phone, so wide."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            assert select([self._answers], [], [], PATIENCE)[0], "the browser is silent"
            more = os.read(self._answers, 2**20)
            assert more, "the browser ended"
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\0")
        told: dict[str, Any] = json.loads(line)
        if told.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
            self.complaints.append(json.dumps(told["params"]))
        return told
