"""The command line: one group to serve, one to drill a running server over HTTP."""

import inspect
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any

import click
import urllib3

from sandbox import drills
from sandbox.settings import (
    DEFAULT_EVENTS,
    DEFAULT_PORT,
    DEFAULT_RATES,
    DEFAULT_SECRET,
    Endpoint,
    SettingsError,
    refuse_production,
)


@click.group()
def main() -> None:
    """A stand-in Stripe server for demonstrations, tests and drills; never for production."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback only.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, envvar="SANDBOX_PORT")
@click.option("--db", default=":memory:", show_default=True, envvar="SANDBOX_DB", help="SQLite file.")
@click.option(
    "--webhook-url", "urls", multiple=True, envvar="SANDBOX_WEBHOOK_URL", help="May be repeated; loopback only."
)
@click.option(
    "--webhook-secret",
    "secrets",
    multiple=True,
    envvar="SANDBOX_WEBHOOK_SECRET",
    help="One for all endpoints, or one for each.",
)
@click.option("--webhook-events", default="", help='Event types, comma separated; "*" for all; empty for the usual.')
@click.option("--public-url", default=None, envvar="SANDBOX_PUBLIC_URL", help="How browsers reach the payment page.")
@click.option("--api-key", default=None, envvar="SANDBOX_API_KEY", help="The one accepted key; any sk_test_… without.")
@click.option("--delayed-after", type=float, default=None, envvar="SANDBOX_DELAYED_AFTER", help="Seconds.")
@click.option("--txn-delay", default="1", show_default=True, envvar="SANDBOX_TXN_DELAY", help="Seconds, or never.")
@click.option("--retry-schedule", default="", envvar="SANDBOX_RETRY_SCHEDULE", help="Seconds, comma separated.")
@click.option("--workers", default=6, show_default=True, envvar="SANDBOX_WORKERS", help="Concurrent webhooks.")
@click.option("--exchange-rate", type=float, default=None, envvar="SANDBOX_EXCHANGE_RATE", help="EUR for one BYN.")
@click.option(
    "--refund-status",
    type=click.Choice(["succeeded", "pending", "requires_action"]),
    default="succeeded",
    envvar="SANDBOX_REFUND_STATUS",
    help="What refunds made over the API start as.",
)
def serve(**options: Any) -> None:
    """Run the server until Ctrl-C or SIGTERM."""
    from sandbox.server import SandboxServer

    try:
        refuse_production(os.environ)
        server = SandboxServer(options["db"], **_settings(options))
    except (SettingsError, OSError) as error:
        raise click.ClickException(str(error)) from error
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    server.start()
    click.echo(f"Sandbox: {server.url} (webhooks to {', '.join(options['urls']) or 'nobody'})")
    sys.stdout.flush()
    stop.wait()
    server.stop()


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of SandboxServer; raises SettingsError when they do not fit together."""
    settings: dict[str, Any] = {
        name: options[name]
        for name in ("host", "port", "public_url", "api_key", "delayed_after", "workers", "refund_status")
    }
    settings["endpoints"] = _endpoints(options["urls"], options["secrets"], options["webhook_events"])
    try:
        settings["txn_delay"] = None if options["txn_delay"] == "never" else float(options["txn_delay"])
        if options["retry_schedule"]:
            settings["retry_schedule"] = tuple(float(item) for item in options["retry_schedule"].split(","))
    except ValueError as error:
        raise SettingsError(f"not a number of seconds: {error}") from error
    if options["exchange_rate"] is not None:
        settings["exchange_rates"] = {**DEFAULT_RATES, "byn": options["exchange_rate"]}
    return settings


def _endpoints(urls: Sequence[str], secrets: Sequence[str], events: str) -> tuple[Endpoint, ...]:
    chosen = list(secrets) or [DEFAULT_SECRET]
    if len(chosen) == 1:
        chosen *= len(urls)
    if len(chosen) != len(urls):
        raise SettingsError("give one webhook secret for all endpoints, or one for each")
    wanted = tuple(name.strip() for name in events.split(",") if name.strip()) or DEFAULT_EVENTS
    return tuple(Endpoint(url, secret, wanted) for url, secret in zip(urls, chosen, strict=True))


# Drills


@main.group()
@click.option("--url", default=f"http://127.0.0.1:{DEFAULT_PORT}", show_default=True, envvar="SANDBOX_URL")
@click.pass_context
def drill(context: click.Context, url: str) -> None:
    """Push a button on the running server; prints its JSON answer."""
    context.obj = url.rstrip("/") + "/_sandbox/"


@main.command()
@click.option("--url", default=f"http://127.0.0.1:{DEFAULT_PORT}", show_default=True, envvar="SANDBOX_URL")
@click.argument("what", default="state")
def show(url: str, what: str) -> None:
    """Print state, requests, events, faults, drills, payments/<id> or deliveries/<event>."""
    click.echo(_call("GET", f"{url.rstrip('/')}/_sandbox/{what}"))


def _call(method: str, url: str, body: dict[str, Any] | None = None) -> str:
    """The answer, laid out for people; exits with its message when it is an error."""
    headers = {"Content-Type": "application/json"}
    encoded = None if body is None else json.dumps(body).encode()
    try:
        answer = urllib3.PoolManager(retries=False).request(method, url, body=encoded, headers=headers, timeout=300)
    except urllib3.exceptions.HTTPError as error:
        raise click.ClickException(f"no sandbox answers at {url}: {error}") from error
    document = json.loads(answer.data)
    if answer.status >= 400:
        raise click.ClickException(document["error"]["message"])
    return json.dumps(document, indent=2, ensure_ascii=False)


def _command(name: str) -> click.Command:
    """A drill as a command, its options made from its signature."""
    parameters = drills.parameters(name)

    def callback(**values: Any) -> None:
        given = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        arguments = {key: value for key, value in given.items() if value not in (None, [])}
        click.echo(_call("POST", f"{click.get_current_context().obj}drills/{name}", arguments))

    text = inspect.cleandoc(getattr(drills.Drills, name).__doc__ or "")
    options: list[click.Parameter] = [_option(parameter) for parameter in parameters]
    return click.Command(name.replace("_", "-"), callback=callback, params=options, help=text)


def _option(parameter: inspect.Parameter) -> click.Option:
    """Required without a default; lists by repetition (`--session a --session b`); dictionaries as JSON."""
    flag = f"--{parameter.name.replace('_', '-')}"
    if parameter.annotation is bool:
        return click.Option([f"{flag}/--no-{flag[2:]}"], default=parameter.default, show_default=True)
    if parameter.annotation == Sequence[str]:
        return click.Option([flag.removesuffix("s"), flag, parameter.name], multiple=True)
    if parameter.annotation in (int, float, str):
        required = parameter.default is parameter.empty
        default = None if required else parameter.default
        return click.Option([flag], type=parameter.annotation, required=required, default=default, show_default=True)
    return click.Option([flag], type=_JsonObject(), default=None)


class _JsonObject(click.ParamType[Any]):
    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return value if isinstance(value, dict) else json.loads(value)
        except ValueError:
            return self.fail(f"{value!r} is not JSON", param, ctx)


for _name in drills.NAMES:
    drill.add_command(_command(_name))
