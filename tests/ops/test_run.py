"""`make run` and ports that somebody else wants: kept while it starts, and named when they are lost."""

import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops import run
from ops.run import HOST


def listening(port: int = 0) -> socket.socket:
    return socket.create_server((HOST, port))


def free_port() -> int:
    with listening() as probe:
        return int(probe.getsockname()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep a port for one user")
def test_nobody_takes_the_port_while_the_database_is_prepared() -> None:
    port = free_port()
    held = run._hold(port, HOST)
    with pytest.raises(OSError, match="in use"):
        listening(port)
    assert not run._is_free(port), "a second start at the same time is told"
    with socket.create_server((HOST, port), reuse_port=True) as ours:
        socket.create_connection((HOST, port), timeout=5).close()
        ours.accept()[0].close()
    held.close()
    listening(port).close()


@pytest.mark.parametrize("lost", ["web", "sandbox"])
def test_the_last_word_names_the_port_that_was_lost(
    lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    web, sandbox = free_port(), free_port()
    for name, value in {"PORT": web, "SANDBOX_PORT": sandbox, "INSTANCE_DIR": tmp_path}.items():
        monkeypatch.setenv(name, str(value))
    for name in ("STRIPE_API_KEY", "HOST"):
        monkeypatch.delenv(name, raising=False)
    thieves = []

    class Manager:
        """Processes that fail, for one cannot listen."""

        returncode = 3

        def add_process(self, *_: Any, **__: Any) -> None: ...

        def loop(self) -> None:
            thief = socket.socket()
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # of the same user: nothing keeps it out
            thief.bind((HOST, web if lost == "web" else sandbox))
            thief.listen()
            thieves.append(thief)
            sys.stderr.write("a long trace\n")

    monkeypatch.setattr(run, "Manager", Manager)
    monkeypatch.setattr(run, "_tell_when_ready", lambda *_: None)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=0))
    assert run.main() == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == f"Port {web if lost == 'web' else sandbox} is taken. Choose another one: PORT=8080 make run"
    thieves[0].close()


def test_a_failure_that_is_no_port_s_keeps_its_own_last_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert run._end(3, [(free_port(), HOST)]) == 3
    assert run._end(130, [(free_port(), HOST)]) == 0
    assert capsys.readouterr().err == ""
