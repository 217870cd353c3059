"""Start `cyclegan` again and again at little cost: a process that has imported torch forks itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


class Started:
    """A running `cyclegan`; what it prints is in `log`."""

    def __init__(self, server: Forks, number: int, log: Path) -> None:
        self.server, self.number, self.log = server, number, log

    def send(self, number: int) -> None:
        os.kill(self.number, number)

    def hang_up(self) -> None:
        """Close the terminal that it was started on."""
        self.server.ask({"hang_up": self.number})

    def alive(self) -> bool:
        return bool(self.server.ask({"alive": self.number}))

    def wait(self) -> int:
        """Its exit code, negative for the signal that ended it."""
        return int(self.server.ask({"wait": self.number}))

    @property
    def told(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="surrogateescape")


class Forks:
    """The process that forks. A context manager."""

    def __enter__(self) -> Forks:
        command = [sys.executable, "-m", "tests.forked"]
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8", env=environment)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, question: Mapping[str, Any]) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, *words: str | Path, log: Path, **environment: str) -> Started:
        """`cyclegan WORDS`, its output appended to a file."""
        return self._start(words, log, environment)

    def _start(
        self, words: Sequence[str | Path], log: Path | None, environment: Mapping[str, str], function: str = ""
    ) -> Started:
        question = {"words": [os.fspath(word) for word in words], "log": log and str(log), "function": function}
        return Started(self, int(self.ask(question | {"environment": environment})), log or Path(os.devnull))

    def start_on_a_terminal(self, *words: str | Path) -> Started:
        """`cyclegan WORDS` on a terminal of its own, which shows little and can be hung up."""
        return self._start(words, None, {"TERM": "dumb"})

    def start_together(
        self,
        count: int,
        *words: str | Path,
        log: Path,
        different: Sequence[str | Path] = (),
        function: str = "",
    ) -> list[Started]:
        """So many that train together on this machine, as torchrun would start them; `different` is for the last.

        With `function`, "module:name", they call it with these words instead of `cyclegan`.
        """
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
        shared |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
        lines = [words] * (count - 1) + [(*words, *different)]
        return [
            self._start(line, log, shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, function)
            for rank, line in enumerate(lines)
        ]


def _fork(
    words: Sequence[str], log: str | None, environment: Mapping[str, str], function: str, terminals: dict[int, int]
) -> int:
    """Start a process that writes to a log, or else to a terminal of its own, whose other end is kept."""
    kept, terminal = (-1, -1) if log else os.openpty()
    if number := os.fork():
        if not log:
            os.close(terminal)
            terminals[number] = kept
        return number
    code = 70
    try:
        for asks in (signal.SIGTERM, signal.SIGHUP):  # whatever the tests were started with
            signal.signal(asks, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if log:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for stream in (1, 2):
                os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        else:
            os.close(kept)
            os.login_tty(terminal)
        os.environ.update(environment)
        sys.argv[1:] = words
        if function:
            module, name = function.split(":")
            getattr(import_module(module), name)(*words)
            code = 0
        else:
            cyclegan.cli.main(words)
    except SystemExit as done:
        code = int(done.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ended(number: int, how: int) -> int | None:
    done, status = os.waitpid(number, how)
    return os.waitstatus_to_exitcode(status) if done else None


def _serve() -> None:
    ended: dict[int, int] = {}
    terminals: dict[int, int] = {}
    for line in sys.stdin:
        question = json.loads(line)
        if "words" in question:
            answer: object = _fork(**question, terminals=terminals)
        elif "hang_up" in question:
            os.close(terminals.pop(question["hang_up"]))
            answer = True
        else:
            number = question.get("wait", question.get("alive"))
            if number not in ended and (code := _ended(number, os.WNOHANG if "alive" in question else 0)) is not None:
                ended[number] = code
            answer = number not in ended if "alive" in question else ended[number]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    import torch._dynamo  # noqa: F401  # what the first step would import otherwise, in every process anew

    import cyclegan.cli
    import cyclegan.inference.directory
    import cyclegan.training.trainer

    _serve()
