"""What `up` prints while it works: one line for each step. Plain where nobody watches or NO_COLOR is set."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import Callable


class Progress:
    """One line for each step: number, name, seconds, a word on what happened. Silent if there are no steps to count."""

    def __init__(self, total: int, done: int = 0) -> None:
        self.total, self.done = total, done
        self.terminal = sys.stdout.isatty()
        self.colour = self.terminal and not os.environ.get("NO_COLOR")

    @contextlib.contextmanager
    def step(self, name: str, noisy: bool = False) -> Iterator[Callable[[str], None]]:
        """`noisy`: the step prints lines of its own, so its name comes first, on a line of its own."""
        self.done += 1
        said: list[str] = []
        started = time.monotonic()
        transient = self.terminal and not noisy
        if self.total and (noisy or transient):
            print(f"{self._head(name)} ...", end="" if transient else "\n", flush=True)
        try:
            yield said.append
        except BaseException:
            if self.total and transient:
                print(flush=True)
            raise
        if self.total:
            back = "\r\033[K" if transient else ""
            print(f"{back}{self._head(name)}{time.monotonic() - started:6.1f} s  {', '.join(said)}".rstrip(), flush=True)

    def _head(self, name: str) -> str:
        number = f"[{self.done}/{self.total}]"
        return f"\033[36m{number}\033[0m {name:<17}" if self.colour else f"{number} {name:<17}"
