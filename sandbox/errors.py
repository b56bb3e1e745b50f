"""Stripe's error objects: https://docs.stripe.com/api/errors and https://docs.stripe.com/error-codes.

Message texts follow what Stripe is known to answer; nothing may depend on them, only on type, code and param.
"""

from collections.abc import Sequence
from typing import Any


class ApiError(Exception):
    """An answer that is not 2xx.

    `executed` says that the endpoint had begun its work: only such answers are replayed to the same
    idempotency key. Refused parameters, keys and conflicts leave the key unused.
    https://docs.stripe.com/api/idempotent_requests
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        executed: bool = False,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.executed = executed
        self.headers = headers or {}
        self.extra = extra

    def body(self, request_id: str) -> dict[str, Any]:
        error: dict[str, Any] = {"message": self.message, "type": self.kind, **self.extra}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        if self.param:
            error["param"] = self.param
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": error}


def unknown_parameters(names: Sequence[str]) -> ApiError:
    plural = "s" if len(names) > 1 else ""
    return ApiError(f"Received unknown parameter{plural}: {', '.join(names)}", code="parameter_unknown", param=names[0])


def missing(name: str) -> ApiError:
    return ApiError(f"Missing required param: {name}.", code="parameter_missing", param=name)


def invalid_integer(name: str, value: object) -> ApiError:
    return ApiError(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)


def invalid(message: str, name: str, code: str | None = None) -> ApiError:
    return ApiError(message, param=name, code=code)


def no_such(what: str, object_id: str, param: str, status: int = 404) -> ApiError:
    return ApiError(f"No such {what}: '{object_id}'", status=status, code="resource_missing", param=param)


def refused(message: str, code: str | None = None, param: str | None = None) -> ApiError:
    """The request was well formed; the object's state does not allow it."""
    return ApiError(message, code=code, param=param, executed=True)
