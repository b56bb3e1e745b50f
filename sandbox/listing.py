"""Lists and expansion: https://docs.stripe.com/api/pagination, https://docs.stripe.com/api/expanding_objects."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from sandbox import balance
from sandbox.account import Account
from sandbox.errors import ApiError, invalid, no_such
from sandbox.store import Json

_DEEPEST = 4

# Fields that hold an id and may be asked for in full.
_EXPANDABLE = {
    "checkout.session": {"payment_intent", "line_items", "customer", "invoice", "subscription"},
    "payment_intent": {"latest_charge", "payment_method", "customer", "review"},
    "charge": {"balance_transaction", "payment_intent", "refunds", "customer", "failure_balance_transaction"},
    "refund": {"balance_transaction", "charge", "payment_intent", "failure_balance_transaction"},
    "dispute": {"charge", "payment_intent"},
    "balance_transaction": {"source"},
    "payout": {"balance_transaction", "failure_balance_transaction", "destination"},
}
_COMPARISONS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

Row = dict[str, str]


@dataclass
class Query:
    """One table, the conditions on it, and how a row becomes an answer."""

    table: str
    where: list[str]
    args: list[object]
    shown: Callable[[Json], Json]

    def add(self, condition: str, *args: object) -> None:
        self.where.append(condition)
        self.args.extend(args)

    def add_times(self, column: str, times: dict[str, int] | None) -> None:
        for name, value in (times or {}).items():
            self.add(f"{column} {_COMPARISONS[name]} ?", value)


def page(account: Account, query: Query, params: Json, url: str, what: str) -> Json:
    """One page, newest first, with `has_more`; the cursors are ids of this list's kind."""
    backwards = "ending_before" in params
    if backwards and "starting_after" in params:
        raise ApiError("You can only specify one of these parameters: starting_after, ending_before.")
    if backwards or "starting_after" in params:
        name = "ending_before" if backwards else "starting_after"
        seq = account.store.value(f"SELECT seq FROM {query.table} WHERE id = ?", (params[name],))
        if seq is None:
            raise no_such(what, params[name], name, status=400)
        query.add("seq > ?" if backwards else "seq < ?", seq)
    limit = params.get("limit", 10)
    order = "ASC" if backwards else "DESC"
    where = " AND ".join(query.where) or "1"
    sql = f"SELECT body FROM {query.table} WHERE {where} ORDER BY seq {order} LIMIT ?"
    rows = account.store.rows(sql, (*query.args, limit + 1))
    data = [query.shown(json.loads(row["body"])) for row in rows[:limit]]
    if backwards:
        data.reverse()
    return {"object": "list", "data": data, "has_more": len(rows) > limit, "url": url}


def plain_list(data: list[Json], url: str) -> Json:
    return {"object": "list", "data": data, "has_more": False, "url": url}


def shown(account: Account, obj: Json) -> Json:
    """A document as the API answers it now."""
    if obj["object"] == "balance_transaction":
        return balance.shown(account, obj)
    if obj["object"] == "dispute":
        txns = [balance.shown(account, txn) for txn in obj["balance_transactions"]]
        return {**obj, "balance_transactions": txns}
    return obj


def expand(account: Account, answer: Json, paths: list[str]) -> Json:
    """Replace ids by objects along each dotted path; lists take `data.` first."""
    for path in paths:
        steps = path.split(".")
        if len(steps) > _DEEPEST:
            message = f"You cannot expand more than {_DEEPEST} levels of a property. Property: {path}"
            raise invalid(message, "expand")
        _expand(account, answer, steps, path)
    return answer


def _expand(account: Account, node: Json, steps: list[str], path: str) -> None:
    if not steps:
        return
    first, rest = steps[0], steps[1:]
    if node.get("object") == "list":
        if first != "data":
            message = f"This property cannot be expanded ({path}). You may want to try expanding 'data.{path}' instead."
            raise invalid(message, "expand")
        for item in node["data"]:
            _expand(account, item, rest, path)
        return
    if first not in _EXPANDABLE.get(node["object"], set()):
        raise invalid(f"This property cannot be expanded ({path}).", "expand")
    if isinstance(node.get(first), str) or first not in node:
        node[first] = _full(account, node, first)
    if isinstance(node[first], dict):
        _expand(account, node[first], rest, path)


def _full(account: Account, node: Json, name: str) -> Json | str | None:
    if name == "line_items":
        lines = account.store.hidden(node["id"])["lines"]
        return plain_list(lines, f"/v1/checkout/sessions/{node['id']}/line_items")
    if name == "refunds":
        refunds = account.store.find("refund", "json_extract(body, '$.charge') = ?", (node["id"],))
        return plain_list(refunds[::-1], f"/v1/charges/{node['id']}/refunds")
    found = account.store.get(node.get(name) or "")
    return shown(account, found) if found else node.get(name)
