"""What the sandbox knows, for people and tests: payments, balance, deliveries, switches."""

from sandbox import balance
from sandbox.account import Account
from sandbox.faults import Faults
from sandbox.store import Json

_RECENT = 50


def state(account: Account, faults: Faults, limit: int = _RECENT) -> Json:
    """Counts, balances, switches, and the latest payments; money in minor units."""
    return {
        "now": account.clock.timestamp(),
        "clock_offset": account.clock.offset,
        "counts": _counts(account),
        "balance": balance.totals(account),
        "rates": account.rates,
        "endpoints": [endpoint.url for endpoint in account.endpoints],
        "deliveries": deliveries(account),
        "dropping": account.mode("drop"),
        "holding": account.mode("hold"),
        "faults": faults.listed(),
        "timers": account.store.value("SELECT count(*) FROM timers"),
        "payments": payments(account, limit),
    }


def _counts(account: Account) -> Json:
    rows = account.store.rows(
        "SELECT kind || coalesce('.' || json_extract(body, '$.status'), '') AS name, count(*) AS number"
        " FROM objects WHERE kind != 'balance_transaction' GROUP BY name"
        " UNION ALL SELECT kind, count(*) FROM objects WHERE kind = 'balance_transaction' GROUP BY kind"
        " UNION ALL SELECT 'event', count(*) FROM events"
    )
    return {row["name"]: row["number"] for row in rows}


def deliveries(account: Account) -> Json:
    """How many webhook deliveries are in which state."""
    states = dict.fromkeys(("pending", "held", "dropped", "delivered", "failed"), 0)
    rows = account.store.rows("SELECT state, count(*) AS number FROM deliveries GROUP BY state")
    return {**states, **{row["state"]: row["number"] for row in rows}}


def payments(account: Account, limit: int = _RECENT) -> list[Json]:
    """The latest sessions, newest first, each with what became of its charge."""
    sessions = account.store.rows(
        "SELECT id FROM objects WHERE kind = 'checkout.session' ORDER BY seq DESC LIMIT ?", (limit,)
    )
    return [payment(account, row["id"]) for row in sessions]


def payment(account: Account, session_id: str) -> Json:
    store = account.store
    session = store.get(session_id) or {}
    intent = store.get(session["payment_intent"] or "") or {}
    charge = store.get(intent.get("latest_charge") or "") or {}
    of_charge = "json_extract(body, '$.charge') = ?"
    return {
        "session": session_id,
        "created": session["created"],
        "amount": session["amount_total"],
        "currency": session["currency"],
        "status": session["status"],
        "payment_status": session["payment_status"],
        "url": session["url"],
        "metadata": session["metadata"],
        "payment_intent": intent.get("id"),
        "intent_status": intent.get("status"),
        "charge": charge.get("id"),
        "balance_transaction": charge.get("balance_transaction"),
        "amount_refunded": charge.get("amount_refunded", 0),
        "refunds": [_brief(refund) for refund in store.find("refund", of_charge, (charge.get("id"),))],
        "disputes": [_brief(dispute) for dispute in store.find("dispute", of_charge, (charge.get("id"),))],
    }


def _brief(obj: Json) -> Json:
    return {"id": obj["id"], "amount": obj["amount"], "status": obj["status"]}
