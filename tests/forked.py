"""Start `cyclegan` again and again at little cost: a process that has imported torch forks itself."""

from __future__ import annotations

import faulthandler
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE, until

ROOT = Path(__file__).parents[1]
THREADS = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or "1"}
"""For processes that tests start, as for the tests themselves: one thread each, if nothing else is asked for."""

CYCLEGAN = "cyclegan.cli:main"


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
        return self.server.ask({"code": self.number}) is None

    def until(self, condition: Callable[[], bool], *, pause: float = 0.01, patience: float = PATIENCE) -> None:
        """Come back once the condition holds, or the process has ended."""
        try:
            until(lambda: not self.alive() or condition(), pause=pause, patience=patience)
        except TimeoutError as error:
            self.send(signal.SIGABRT)  # so that it writes into its log where each of its threads is
            until(lambda: not self.alive())
            raise TimeoutError(f"{error}; until then it said\n{self.told}") from None

    def wait(self, *, patience: float = PATIENCE) -> int:
        """Its exit code, negative for the signal that ended it."""
        self.until(lambda: False, patience=patience)
        return int(self.server.ask({"code": self.number}))

    @property
    def told(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="surrogateescape")


class Forks:
    """The process that forks. A context manager; what it has forked ends with it, however that comes about."""

    def __enter__(self) -> Forks:
        command = [sys.executable, "-m", "tests.forked"]
        environment = os.environ | THREADS | {"PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8", env=environment)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()  # closes its input, which ends it and all that it has forked

    def ask(self, question: Mapping[str, Any]) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, *words: str | Path, log: Path, main: str = CYCLEGAN, **environment: str) -> Started:
        """`cyclegan WORDS`, its output appended to a file; or another `main` that takes words.

        LIMIT_MEMORY in its environment is how many bytes more it gets, on Linux.
        """
        return self._start(words, log, main, environment)

    def start_on_a_terminal(self, *words: str | Path) -> Started:
        """`cyclegan WORDS` on a terminal of its own, which shows little and can be hung up."""
        return self._start(words, None, CYCLEGAN, {"TERM": "dumb"})

    def _start(
        self, words: Sequence[str | Path], log: Path | None, main: str, environment: Mapping[str, str]
    ) -> Started:
        question = {"words": [os.fspath(word) for word in words], "log": log and str(log), "main": main}
        return Started(self, int(self.ask(question | {"environment": environment})), log or Path(os.devnull))

    def start_together(
        self,
        count: int,
        *words: str | Path,
        log: Path,
        different: Sequence[str | Path] = (),
        main: str = CYCLEGAN,
        **environment: str,
    ) -> list[Started]:
        """So many that train together on this machine, as torchrun would start them; `different` is for the last."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        shared = environment | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
        shared |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
        lines = [words] * (count - 1) + [(*words, *different)]
        return [
            self.start(*line, log=log, main=main, RANK=str(rank), LOCAL_RANK=str(rank), **shared)
            for rank, line in enumerate(lines)
        ]

    def end(self) -> None:
        """Kill what is still running."""
        self.ask({"end": "all"})


def _fork(
    words: Sequence[str], log: str | None, main: str, environment: Mapping[str, str], terminals: dict[int, int]
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
        if log:
            os.setpgid(0, 0)  # so that whatever it starts can be killed with it; a terminal makes a group by itself
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
        faulthandler.enable()
        os.environ.update(environment)
        if "LIMIT_MEMORY" in environment:
            _limit(int(environment["LIMIT_MEMORY"]))
        sys.argv[1:] = words
        pkgutil.resolve_name(main)(words)
        code = 0
    except SystemExit as done:
        code = int(done.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _limit(memory: int) -> None:
    import resource

    here = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (here + memory, -1))


class _Children:
    """What was forked: its exit codes, None while it runs."""

    def __init__(self) -> None:
        self.codes: dict[int, int | None] = {}

    def code(self, number: int) -> int | None:
        if self.codes[number] is None:
            done, status = os.waitpid(number, os.WNOHANG)
            self.codes[number] = os.waitstatus_to_exitcode(status) if done else None
        return self.codes[number]

    def end(self) -> None:
        for number in self.codes:
            if self.code(number) is None:
                with suppress(ProcessLookupError):  # so young that its group is not there yet
                    os.killpg(number, signal.SIGKILL)
                os.kill(number, signal.SIGKILL)
                self.codes[number] = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def _serve() -> None:
    children, terminals = _Children(), dict[int, int]()
    try:
        for line in sys.stdin:
            match json.loads(line):
                case {"code": number}:
                    answer = children.code(number)
                case {"end": _}:
                    children.end()
                    answer = None
                case {"hang_up": number}:
                    os.close(terminals.pop(number))
                    answer = None
                case question:
                    answer = _fork(**question, terminals=terminals)
                    children.codes[answer] = None
            print(json.dumps(answer), flush=True)
    finally:
        children.end()


if __name__ == "__main__":
    import torch._dynamo  # noqa: F401  # what the first step would import otherwise, in every process anew

    import cyclegan.cli
    import cyclegan.inference.directory
    import cyclegan.metrics.features as features
    import cyclegan.training.trainer  # noqa: F401
    from tests.tiny import SIDE

    features.SIDE = SIDE
    _serve()
