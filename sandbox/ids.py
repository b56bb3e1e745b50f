"""Identifiers that look like Stripe's: same prefixes, same lengths, so that narrow columns are found out."""

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits

_LENGTHS = {
    "cs_test_a1": 56,
    "pi_3": 23,
    "ch_3": 23,
    "py_3": 23,
    "re_3": 23,
    "pyr_1": 23,
    "txn_3": 23,
    "txn_1": 23,
    "du_1": 23,
    "po_1": 23,
    "evt_1": 23,
    "evt_3": 23,
    "pm_1": 23,
    "req_": 14,
    "li_1": 23,
    "price_1": 23,
    "prod_": 14,
}


def new_id(prefix: str) -> str:
    """A fresh random id; `prefix` is one of the table above."""
    return prefix + random_text(_LENGTHS[prefix])


def random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
