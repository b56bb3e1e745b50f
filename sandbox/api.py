"""Stripe's API over HTTP: keys, versions, parameters, idempotency, errors, and the faults of a drill."""

import base64
import hashlib
import json
import logging
import re
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from sandbox import forms, listing, resources, timers
from sandbox.account import Account, current_request
from sandbox.errors import ApiError
from sandbox.faults import Fault, Faults
from sandbox.ids import new_id
from sandbox.settings import API_VERSION
from sandbox.store import Json, dumps
from sandbox.web import DropConnection, Request, Response

logger = logging.getLogger(__name__)

LOG_SIZE = 20_000
KEY_LIFETIME = 24 * 3600
_VERSION = re.compile(r"\d{4}-\d\d-\d\d(\.[a-z_]+)?(; [\w=; ]+)?")


@dataclass
class Call:
    """One API request on its way through; also what the request log shows of it."""

    request: Request
    id: str = field(default_factory=lambda: new_id("req_"))
    params: Json = field(default_factory=dict)
    key: str | None = None
    replayed: bool = False
    pause: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def idempotent(self) -> bool:
        """Only POST takes keys; elsewhere Stripe ignores them."""
        return self.request.method == "POST" and self.key is not None


class Api:
    """Answers everything under /v1/. Safe to call from many threads."""

    def __init__(self, account: Account, faults: Faults) -> None:
        self._account = account
        self._faults = faults
        self._running: set[str] = set()
        self._running_lock = threading.Lock()
        self.log: deque[Json] = deque(maxlen=LOG_SIZE)

    def __call__(self, request: Request) -> Response:
        call = Call(request, key=request.header("idempotency-key"))
        struck = self._faults.take(request.method, request.path)
        status: int | None = None
        try:
            response = self._with_faults(call, struck)
            status = response.status
        finally:
            self._remember(call, status, struck)
        return response

    def _remember(self, call: Call, status: int | None, struck: list[Fault]) -> None:
        self.log.append(
            {
                "request_id": call.id,
                "at": self._account.clock.now(),
                "method": call.request.method,
                "path": call.request.path,
                "params": call.params,
                "idempotency_key": call.key,
                "stripe_version": call.request.header("stripe-version"),
                "status": status,
                "replayed": call.replayed,
                "faults": [fault.kind for fault in struck],
            }
        )

    # Faults

    def _with_faults(self, call: Call, struck: list[Fault]) -> Response:
        by_kind = {fault.kind: fault for fault in struck}
        if "slow" in by_kind:
            call.pause = by_kind["slow"].seconds
        if "close" in by_kind:
            raise DropConnection
        if "garbage" in by_kind:
            return Response(b"<html><h1>Bad Gateway</h1></html>", 200, "text/html")
        injected = None
        if "rate_limit" in by_kind:
            message = "Request rate limit exceeded. Learn more at https://stripe.com/docs/rate-limits."
            headers = {"Stripe-Rate-Limited-Reason": "global-rate"}
            injected = ApiError(message, status=429, code="rate_limit", headers=headers)
        if "error" in by_kind:
            message = "An unknown error occurred (a fault of the sandbox)."
            injected = ApiError(message, status=500, kind="api_error", executed=by_kind["error"].sticky)
        response = self._answer(call, injected)
        if "lost" in by_kind:
            raise DropConnection
        return response

    # The usual way

    def _answer(self, call: Call, injected: ApiError | None) -> Response:
        timers.run_due(self._account)
        try:
            call.headers["Stripe-Version"] = _version(call.request)
            self._authenticate(call.request)
            call.params = forms.unfold(_fields(call.request))
            if call.idempotent:
                status, body = self._once(call, injected)
            else:
                time.sleep(call.pause)
                status, body = 200, dumps(self._perform(call, injected))
        except ApiError as error:
            status, body = error.status, dumps(error.body(call.id))
            call.headers.update(error.headers)
        except Exception:
            logger.exception("The sandbox failed at %s %s", call.request.method, call.request.path)
            failure = ApiError("The sandbox itself failed; see its log.", status=500, kind="api_error")
            status, body = 500, dumps(failure.body(call.id))
        headers = {"Request-Id": call.id, "Cache-Control": "no-cache, no-store", **call.headers}
        if call.key:
            headers["Idempotency-Key"] = _header_safe(call.key)
        return Response(body.encode(), status, headers=headers)

    def _authenticate(self, request: Request) -> None:
        key = _api_key(request)
        if key is None:
            message = "You did not provide an API key. Provide it in the Authorization header, using Bearer auth."
            headers = {"WWW-Authenticate": 'Basic realm="Stripe"'}
            raise ApiError(message, status=401, headers=headers)
        wanted = self._account.settings.api_key
        known = key == wanted if wanted else key.startswith(("sk_test_", "rk_test_")) and len(key) > 8
        if not known:
            masked = f"{key[:8]}{'*' * 8}{key[-4:]}"
            raise ApiError(f"Invalid API Key provided: {masked}", status=401)

    def _perform(self, call: Call, injected: ApiError | None) -> Json:
        found = resources.find(call.request.method, call.request.path)
        if found is None:
            target = f"{call.request.method}: {call.request.path}"
            message = f"Unrecognized request URL ({target}). Please see https://stripe.com/docs"
            raise ApiError(message, status=404)
        route, object_id = found
        params = route.check(call.params, "")
        if injected is not None:
            raise injected
        token = current_request.set({"id": call.id, "idempotency_key": call.key})
        try:
            answer = route.act(self._account, object_id, params)
            return listing.expand(self._account, answer, params.get("expand", []))
        finally:
            current_request.reset(token)

    # Idempotency: https://docs.stripe.com/api/idempotent_requests

    def _once(self, call: Call, injected: ApiError | None) -> tuple[int, str]:
        """Perform the request, or replay what its key answered before."""
        key = call.key or ""
        if not 0 < len(key) <= 255:
            raise ApiError("Idempotency keys must be 1 to 255 characters long.", param="Idempotency-Key")
        with self._running_lock:
            if key in self._running:
                raise _in_use(key)
            self._running.add(key)
        try:
            time.sleep(call.pause)  # while slow, the key is in use: a second request gets 409
            earlier = self._earlier(call, key)
            return earlier or self._first(call, key, injected)
        finally:
            with self._running_lock:
                self._running.discard(key)

    def _earlier(self, call: Call, key: str) -> tuple[int, str] | None:
        store = self._account.store
        rows = store.rows("SELECT * FROM idempotency WHERE key = ?", (key,))
        if not rows:
            return None
        row = rows[0]
        if row["created"] < self._account.clock.now() - KEY_LIFETIME:
            store.run("DELETE FROM idempotency WHERE key = ?", (key,))
            return None
        if row["path"] != call.request.path:
            raise _reused(key, f"for the same endpoint they were first used for ('{row['path']}')")
        if row["fingerprint"] != _fingerprint(call.params):
            raise _reused(key, "with the same parameters they were first used with")
        call.replayed = True
        call.headers.update({"Idempotent-Replayed": "true", "Original-Request": row["request_id"]})
        return row["status"], row["body"]

    def _first(self, call: Call, key: str, injected: ApiError | None) -> tuple[int, str]:
        """The effect and the remembered answer are one transaction: a crash leaves both or neither."""
        call.headers["Original-Request"] = call.id
        try:
            with self._account.store.write():
                body = dumps(self._perform(call, injected))
                self._keep(call, key, 200, body)
            return 200, body
        except ApiError as error:
            if error.executed:
                self._keep(call, key, error.status, dumps(error.body(call.id)))
            raise

    def _keep(self, call: Call, key: str, status: int, body: str) -> None:
        self._account.store.run(
            "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                key,
                call.request.path,
                _fingerprint(call.params),
                status,
                body,
                call.id,
                self._account.clock.now(),
            ),
        )


def _fields(request: Request) -> list[tuple[str, str]]:
    if request.method != "POST" or not request.body:
        return request.query
    if request.content_type != "application/x-www-form-urlencoded":
        message = (
            "Invalid request (check that your POST content type is application/x-www-form-urlencoded). "
            "If you have any questions, we can help at https://support.stripe.com/."
        )
        raise ApiError(message)
    return request.query + request.form()


def _version(request: Request) -> str:
    version = request.header("stripe-version") or API_VERSION
    if not _VERSION.fullmatch(version):
        raise ApiError(f"Invalid Stripe API version: {_header_safe(version)}")
    return version


def _api_key(request: Request) -> str | None:
    """From `Authorization: Bearer` or, as curl -u sends it, Basic."""
    scheme, _, value = (request.header("authorization") or "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[0] or None
        except ValueError:
            return None
    return None


def _fingerprint(params: Json) -> str:
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()


def _header_safe(value: str) -> str:
    return value.encode("ascii", "replace").decode().replace("\r", "").replace("\n", "")


def _reused(key: str, rule: str) -> ApiError:
    message = (
        f"Keys for idempotent requests can only be used {rule}. Try using a key other than '{key}' "
        "if you meant to execute a different request."
    )
    return ApiError(message, kind="idempotency_error")


def _in_use(key: str) -> ApiError:
    message = (
        f"There is currently another in-progress request using this Idempotent Key ({key}). Please try again later."
    )
    return ApiError(message, status=409, kind="idempotency_error", code="idempotency_key_in_use")
