"""`make run`: prepares the database, then web server, worker and (without a Stripe key) the sandbox together.

A program of its own that starts processes; it imports nothing of the service. Everything it decides comes from the
environment variables that README names.
"""

import contextlib
import errno
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from honcho.manager import Manager

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
READY_SECONDS = 60
WANTED_STOP = (130, 143)  # Ctrl-C and SIGTERM, as shells count them
SANDBOX_SECRET = "whsec_sandbox"  # noqa: S105 - the sandbox's, refused in production


def main() -> int:
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    port = _port(environ.get("PORT") or "8000")
    if port is None:
        sys.stderr.write("PORT: a number from 1 to 65535 is needed\n")
        return 1
    environ["PORT"], host = str(port), environ.get("HOST") or HOST
    instance = Path(environ.setdefault("INSTANCE_DIR", "instance")).absolute()
    environ["INSTANCE_DIR"] = str(instance)
    instance.mkdir(parents=True, exist_ok=True)
    if not _is_free(port, host):
        return _taken(port)
    held = [_hold(port, host)]
    sandbox_port = None
    if not environ.get("STRIPE_API_KEY"):
        sandbox_port = _sandbox_port(instance, port)
        held.append(_hold(sandbox_port, HOST))
        environ["STRIPE_API_BASE"] = f"http://{HOST}:{sandbox_port}"
    prepared = subprocess.run([*_flask(), "setup"], cwd=ROOT, env=environ, check=False)  # noqa: S603
    if prepared.returncode:
        return prepared.returncode
    for each in held[1:]:  # the sandbox's server shares its port with nobody, not even with us
        each.close()
    manager = Manager()
    for name, command in _processes(port, sandbox_port, instance, environ).items():
        manager.add_process(name, shlex.join(command), env=environ, cwd=str(ROOT))
    threading.Thread(target=_tell_when_ready, args=(port, sandbox_port, instance), daemon=True).start()
    manager.loop()
    held[0].close()
    return _end(int(manager.returncode or 0), [(port, host), (sandbox_port or port, HOST)])


def _end(code: int, places: list[tuple[int, str]]) -> int:
    """Say the last word when our processes have ended: who listens in their place is the reason for a failure,
    whatever stood in their own last lines."""
    if code in (0, *WANTED_STOP):
        return 0
    taken = next((port for port, host in places if not _is_free(port, host)), None)
    return code if taken is None else _taken(taken)


def _flask() -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "wsgi"]


def _processes(port: int, sandbox_port: int | None, instance: Path, environ: dict[str, str]) -> dict[str, list[str]]:
    workers, threads = environ.get("WEB_WORKERS", "1"), environ.get("WEB_THREADS", "16")
    web = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", environ.get("HOST", HOST)]
    web += ["--port", str(port), "--workers", workers, "--blocking-threads", threads, "--no-ws"]
    web += ["--respawn-failed-workers", "--log-level", "error", "wsgi:app"]
    processes = {"web": web, "worker": [*_flask(), "worker"]}
    if sandbox_port:
        sandbox = [sys.executable, "-m", "sandbox", "serve", "--port", str(sandbox_port)]
        sandbox += ["--db", str(instance / "sandbox.sqlite3")]
        sandbox += ["--webhook-url", f"http://{HOST}:{port}/webhooks/stripe"]
        secret = environ.get("STRIPE_WEBHOOK_SECRETS", SANDBOX_SECRET).split(",")[0].strip()
        processes["sandbox"] = [*sandbox, "--webhook-secret", secret]
    return processes


def _port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text[:6]) <= 65535 else None


def _is_free(port: int, host: str = HOST) -> bool:
    with socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as fault:
            return fault.errno not in (errno.EADDRINUSE, errno.EACCES)  # all else the server itself explains
    return True


def _hold(port: int, host: str) -> socket.socket:
    """Keep others from the port while the database is prepared: a socket bound and not listening, where the system
    lets our own server listen beside it (Linux). Close it to give the port back."""
    holder = socket.socket(_family(host))
    if sys.platform == "linux":
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with contextlib.suppress(OSError):  # connections of the last run can still stand in its way
            holder.bind((host, port))
    return holder


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _taken(port: int) -> int:
    sys.stderr.write(f"Port {port} is taken. Choose another one: PORT=8080 make run\n")
    sys.stderr.flush()
    return 1


def _sandbox_port(instance: Path, port: int) -> int:
    """The one of the last run if it is free, so that payment pages opened then still work; otherwise one above PORT."""
    remembered = instance / "sandbox.port"
    wishes = [int(remembered.read_text())] if remembered.exists() else []
    if wish := os.environ.get("SANDBOX_PORT"):
        wishes = [int(wish)]
    chosen: int = next(each for each in [*wishes, *range(port + 1, 65535)] if _is_free(each))
    remembered.write_text(str(chosen))
    return chosen


def _tell_when_ready(port: int, sandbox_port: int | None, instance: Path) -> None:
    address = f"http://{HOST}:{port}"
    deadline = time.monotonic() + READY_SECONDS
    while not _answers(f"{address}/readyz"):
        if time.monotonic() > deadline:
            sys.stderr.write("The web server does not answer; see the lines above.\n")
            os.kill(os.getpid(), signal.SIGTERM)
            return
        time.sleep(0.1)
    lines = [f"  Donor page        {address}/", f"  API               {address}/api/docs"]
    if sandbox_port:
        lines.append(f"  Payment sandbox   http://{HOST}:{sandbox_port}/  (SANDBOX_URL of its drill command)")
    lines.append(f"  Files, e-mails    {instance}")
    sys.stdout.write("\n".join(["", "Ready. Open:", *lines, "  Ctrl-C stops everything.", "", ""]))
    sys.stdout.flush()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(main())
