"""A form or a request that is sent twice, on a bad network or by an impatient thumb, is taken once."""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.clock import utcnow
from core.db import db, insert_if_absent, unit_of_work
from core.jobs import every
from stickers.stock.errors import FormIncomplete, KeyInvalid, KeyReused
from stickers.stock.models import StockForm

KEEP = timedelta(days=7)
NONCE_LIMIT = 64
KEY_LIMIT = 255


def take(nonce: str, content: Iterable[tuple[str, str]], now: datetime) -> bool:
    """Whether the form with this nonce and content is new. Inside the unit of work of what it asks for.

    The content is part of the key: who goes back and changes the figure sends another form, though browsers keep the
    nonce. Raises `FormIncomplete` without a nonce.
    """
    if not 0 < len(nonce) <= NONCE_LIMIT:
        raise FormIncomplete
    return _is_first([nonce, sorted(content)], now)


def take_request(caller: str, key: str, content: Iterable[tuple[str, Any]], now: datetime) -> bool:
    """Whether the request of a machine with this Idempotency-Key is new. Inside the unit of work of what it asks for.

    Machines mean by one key one request. Raises `KeyInvalid`, and `KeyReused` when the same caller's key came with
    another content; then nothing of this unit of work may be committed.
    """
    if not (0 < len(key) <= KEY_LIMIT and key.isascii() and key.isprintable()):
        raise KeyInvalid
    new = _is_first(["request", caller, key], now)
    if _is_first(["request", caller, key, sorted(content)], now) and not new:
        raise KeyReused
    return new


def _is_first(what: list[Any], now: datetime) -> bool:
    key = hashlib.sha256(json.dumps(what).encode()).hexdigest()
    return insert_if_absent(StockForm, key=key, taken_at=now)


@every(seconds=3600)
def forget_old_forms() -> None:
    with unit_of_work():
        db.session.execute(sa.delete(StockForm).where(StockForm.taken_at < utcnow() - KEEP))
