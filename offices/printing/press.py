"""A press: a process that sets parts of a run, one after the other, and ends with whoever started it.

    python -m offices.printing.press

Reads a part a line (JSON) from its input and answers each with a line: {} or {"error": …}. It knows no database and
loads no application. Typst remembers what it has laid out, so a press is replaced after `PARTS` parts.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from core.files import reason_of, write_whole
from offices.printing.pages import ROOT, Poster, Run, Typesetter, framed

PARTS = 8


class PressFailed(Exception):
    """`reason`: disk_full, or the kind of the error."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Part:
    """Some posters of a run and the file they go to. A part whose file is there is done."""

    target: Path
    posters: Sequence[Poster]

    @property
    def done(self) -> bool:
        return self.target.exists()


class Press:
    """The hither end of one press. A context manager; one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._parts = 0

    def __enter__(self) -> "Press":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def set(self, run: Run, part: Part) -> None:
        """Raises `PressFailed`; then the part's file is not there."""
        if self._parts == PARTS:
            self.stop()
        process = self._process or self._start()
        self._parts += 1
        assert process.stdin is not None
        assert process.stdout is not None
        values = {"run": asdict(run), "posters": [asdict(each) for each in part.posters], "target": str(part.target)}
        try:
            process.stdin.write(json.dumps(values) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except OSError:
            answer = ""
        if not answer:
            self.stop()
            raise PressFailed("press_died")
        if error := json.loads(answer).get("error"):
            raise PressFailed(error)

    def _start(self) -> "subprocess.Popen[str]":
        # One arena: what a part needed is given back, not kept by each thread.
        environment = {**os.environ, "MALLOC_ARENA_MAX": "1", "RAYON_NUM_THREADS": "1"}
        self._parts = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "offices.printing.press"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for whoever started us; we end when they close our input
        )
        return self._process

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        process.kill()
        process.wait()


def _work(typesetter: Typesetter, task: Mapping[str, Any]) -> None:
    run, target = Run(**task["run"]), Path(task["target"])
    posters = [Poster(**each) for each in task["posters"]]
    frame = target.with_name("frame.pdf")
    if not frame.exists():
        write_whole(frame, typesetter.frame(run))
    write_whole(target, typesetter.pages(framed(run, frame), posters))


def main() -> None:
    typesetter = Typesetter()
    for line in sys.stdin:
        answer: dict[str, str] = {}
        try:
            _work(typesetter, json.loads(line))
        except OSError as error:
            answer = {"error": reason_of(error)}
        except Exception as error:  # noqa: BLE001 - told to whoever asked for the part
            print(f"press: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
            answer = {"error": type(error).__name__}
        print(json.dumps(answer), flush=True)  # noqa: T201 - this is how it answers


if __name__ == "__main__":
    main()
