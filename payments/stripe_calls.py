"""Calls to Stripe's API: plain JSON comes back, or `ProviderDown` or `ProviderRefused`.

The library's exceptions hold whole HTTP bodies, with e-mails in them: none leaves this module, not even as the cause of
another one, and what is logged is their kind, code and request id.
"""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import stripe

from payments.base import ProviderDown, ProviderRefused
from payments.stripe_read import Json, Malformed

logger = logging.getLogger(__name__)

_CODE = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)

# What the library itself trips over when an answer is JSON, but not of the form it expects.
_SHAPE_ERRORS = (AttributeError, LookupError, RecursionError, TypeError, ValueError)


def call(request: Callable[[], Any]) -> Json:
    """The object Stripe answers with. `request` holds one call of the library and nothing else."""
    with _translated():
        answer = request()
        return _as_json(answer)


def pages(request: Callable[[], Any]) -> Iterator[Json]:
    """Every object of a list, read on page by page as they are taken."""
    with _translated():
        objects = iter(request().auto_paging_iter())
    while True:
        with _translated():
            try:
                item = _as_json(next(objects))
            except StopIteration:
                return
        yield item


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


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except stripe.StripeError as error:
        _refuse(error)
    except _SHAPE_ERRORS as error:
        logger.error("stripe gave an unreadable answer: %s", type(error).__name__)
        raise ProviderDown from None


def _refuse(error: stripe.StripeError) -> NoReturn:
    kind, status = type(error).__name__, error.http_status
    code = error.code if isinstance(error.code, str) and _CODE.fullmatch(error.code) else None
    logger.warning("stripe: %s, status %s, code %s, request %s", kind, status, code, error.request_id)
    match error:
        case stripe.AuthenticationError():
            raise ProviderRefused("authentication") from None
        case stripe.PermissionError():
            raise ProviderRefused(code or "permission") from None
        case stripe.IdempotencyError():
            raise ProviderRefused("idempotency_error") from None
        case stripe.CardError() | stripe.InvalidRequestError():
            raise ProviderRefused(code or "invalid_request") from None
    # Unreachable, too slow, overloaded, a conflict of two like requests, 5xx, garbage: asking again is right.
    raise ProviderDown from None
