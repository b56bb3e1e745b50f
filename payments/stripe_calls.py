"""Calls to Stripe's API: plain JSON comes back, or `ProviderDown` or `ProviderRefused`.

The library's exceptions hold whole HTTP bodies, with e-mails in them: none leaves this module, not even as the context
of another one, and what is logged is their kind, code and request id.
"""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import stripe

from core.errors import DomainError
from payments.base import ProviderDown, ProviderRefused
from payments.stripe_read import Json, Malformed

_Answer = TypeVar("_Answer")

logger = logging.getLogger(__name__)

_END = object()
_CODE = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)

# What the library itself trips over when an answer is JSON, but not of the form it expects.
_SHAPE_ERRORS = (AttributeError, LookupError, RecursionError, TypeError, ValueError)


def call(request: Callable[[], Any]) -> Json:
    """The object Stripe answers with. `request` holds one call of the library and nothing else."""
    return _answered(lambda: _as_json(request()))


def pages(request: Callable[[], Any]) -> Iterator[Json]:
    """Every object of a list, read on page by page as they are taken."""
    objects = _answered(lambda: iter(request().auto_paging_iter()))
    while (item := _answered(lambda: next(objects, _END))) is not _END:
        yield _answered(partial(_as_json, item))


@contextmanager
def understood() -> Iterator[None]:
    """Around our own reading of an answer: one that lacks what we need is as good as none."""
    try:
        yield
    except Malformed as missing:
        logger.error("stripe answered without a usable %s", missing)
        raise ProviderDown from None


def _as_json(answer: Any) -> Json:
    if not isinstance(answer, stripe.StripeObject):
        raise TypeError("not an object")
    return answer.to_dict(for_json=True)


def _answered(request: Callable[[], _Answer]) -> _Answer:
    try:
        return request()
    except stripe.StripeError as error:
        refusal = _refusal(error)
    except _SHAPE_ERRORS as error:
        logger.error("stripe gave an unreadable answer: %s", type(error).__name__)
        refusal = ProviderDown()
    raise refusal  # out here, so that not even its context holds the library's exception


def _refusal(error: stripe.StripeError) -> DomainError:
    kind, status = type(error).__name__, error.http_status
    code = error.code if isinstance(error.code, str) and _CODE.fullmatch(error.code) else None
    logger.warning("stripe: %s, status %s, code %s, request %s", kind, status, code, error.request_id)
    match error:
        case stripe.AuthenticationError():
            return ProviderRefused("authentication")
        case stripe.PermissionError():
            return ProviderRefused(code or "permission")
        case stripe.IdempotencyError():
            return ProviderRefused("idempotency_error")
        case stripe.CardError() | stripe.InvalidRequestError():
            return ProviderRefused(code or "invalid_request")
    # Unreachable, too slow, overloaded, a conflict of two like requests, 5xx, garbage: asking again is right.
    return ProviderDown()
