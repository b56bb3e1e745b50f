"""Closing a month, and opening the last closed one again. Services flush; edges commit.

At the close the difference of exchange rates that was realised in the month goes from the conversion accounts to
`fund:<fund>:fx` (see `finance.conversion`), and a sheet is kept: balances of all accounts, control totals, what each
fund came to, and the head of the audit log. Afterwards nothing is posted into the month: the database refuses it.
"""

import hashlib
import json
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.clock import local_day
from core.db import db, rows_changed
from core.money import Money
from finance import conversion, errors, open_matters
from finance.payout_shares import Ways, exchanged
from finance.suspense import suspense
from ledger import accounts, periods
from ledger.models import Account, AccountingPeriod, Fund, JournalEntry, Posting
from ledger.periods import Month
from ledger.queries import FundTotals, totals_of_kinds
from ledger.services import Source, post_entry, transfer
from staff import audit

SHORTEST_REASON = 3
LONGEST_REASON = 500


def read_month(text: str) -> Month:
    """Raises `MonthInvalid`."""
    try:
        return Month.read(text.strip())
    except ValueError:
        raise errors.MonthInvalid(field="month") from None


def close_month(month: Month, *, actor: str, address: str, now: datetime, reason: str = "") -> AccountingPeriod:
    """Close a month that is over. Raises `MonthNotOver`, `NothingToClose`, `MonthNotNext`; `StillOpen` when matters of
    the month do not agree yet and no reason is given, `TextTooLong`.

    What is open is kept in the sheet, with the reason.
    Waits for whoever is posting into it at this moment; what they post is in the sheet.
    """
    if month.ends_at > now:
        raise errors.MonthNotOver
    periods.hold_alone(month)
    expected = periods.next_to_close()
    if expected is None:
        raise errors.NothingToClose
    if expected != month:
        raise errors.MonthNotNext(month=str(expected))
    reason = _reason_to_close(month, reason)
    before = periods.last_closed()
    ways = exchanged(month)
    positions = _book_residue(month, before.sheet if before else None, ways, now)
    head = audit.head()
    sheet = _sheet(month, before.sheet if before else None, positions)
    sheet |= {"exchanged": _kept(ways), **open_matters.for_sheet(month, reason)}
    period = AccountingPeriod(
        month=str(month),
        starts_at=month.starts_at,
        ends_at=month.ends_at,
        closed_at=now,
        closed_by=actor[:254],
        sheet=sheet,
        sheet_hash=hash_of(sheet),
        audit_number=head.number,
        audit_hash=head.hash,
    )
    db.session.add(period)
    db.session.flush()
    after = {"sheet": period.sheet_hash, "entries": sheet["entries"], "audit_number": head.number}
    if "open" in sheet:
        after |= {"open": len(sheet["open"]), "reason": reason}
    audit.record(actor, "period.closed", f"period:{month}", after=after, now=now, address=address)
    return period


def _reason_to_close(month: Month, reason: str) -> str:
    reason = " ".join(reason.split())
    open_now = open_matters.open_of(month).count
    if open_now and len(reason) < SHORTEST_REASON:
        raise errors.StillOpen(field="why", count=open_now)
    if len(reason) > LONGEST_REASON:
        raise errors.TextTooLong(field="why", limit=LONGEST_REASON)
    return reason


def reopen_month(month: Month, reason: str, *, actor: str, address: str, now: datetime) -> AccountingPeriod:
    """Let postings into the last closed month again. Raises `UnknownMonth`, `MonthNotLastClosed`, `ReasonMissing`.

    What was posted late meanwhile stays where it is.
    """
    reason = " ".join(reason.split())
    if len(reason) < SHORTEST_REASON:
        raise errors.ReasonMissing(field="reason")
    if len(reason) > LONGEST_REASON:
        raise errors.TextTooLong(field="reason", limit=LONGEST_REASON)
    last = periods.last_closed()
    if last is None or last.month < str(month):
        raise errors.UnknownMonth
    if last.month != str(month):
        raise errors.MonthNotLastClosed
    reopened = db.session.execute(
        sa.update(AccountingPeriod)
        .where(AccountingPeriod.id == last.id, AccountingPeriod.reopened_at.is_(None))
        .values(reopened_at=now, reopened_by=actor[:254], reopen_reason=reason)
    )
    if rows_changed(reopened) != 1:
        raise errors.MonthNotLastClosed
    before, after = {"sheet": last.sheet_hash}, {"reason": reason}
    audit.record(actor, "period.reopened", f"period:{month}", before=before, after=after, now=now, address=address)
    db.session.refresh(last)
    return last


def hash_of(sheet: dict[str, Any]) -> str:
    """SHA-256 of the sheet in one fixed spelling."""
    text = json.dumps(sheet, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def closings() -> list[AccountingPeriod]:
    """All closings, the newest month first, of one month the newest closing first."""
    query = sa.select(AccountingPeriod).order_by(AccountingPeriod.month.desc(), AccountingPeriod.id.desc())
    return list(db.session.scalars(query))


def closing_of(month: Month) -> AccountingPeriod:
    """The newest closing of a month. Raises `UnknownMonth`."""
    query = sa.select(AccountingPeriod).where(AccountingPeriod.month == str(month))
    found = db.session.scalar(query.order_by(AccountingPeriod.id.desc()).limit(1))
    if found is None:
        raise errors.UnknownMonth
    return found


def late_entries(month: str, limit: int = 200) -> list[JournalEntry]:
    """What came too late for this month, in the order in which it came."""
    query = sa.select(JournalEntry).where(JournalEntry.late_for == month).order_by(JournalEntry.recorded_at)
    return list(db.session.scalars(query.limit(limit)))


def _kept(ways: Ways) -> list[dict[str, Any]]:
    """What payouts brought in other currencies since ever, by fund: the next month goes on from there."""
    codes = {fund.id: fund.code for fund in db.session.scalars(sa.select(Fund))}
    return [
        {"fund": codes[fund_id], "paid": paid, "amount": amount, "received": received, "fetched": fetched}
        for (fund_id, paid, received), (amount, fetched) in sorted(ways.items())
    ]


def _book_residue(month: Month, before: dict[str, Any] | None, ways: Ways, now: datetime) -> list[dict[str, Any]]:
    """Post what conversion gained or lost in the month; the positions that the next month begins with."""
    times = db.session.scalar(
        sa.select(sa.func.count()).select_from(AccountingPeriod).where(AccountingPeriod.month == str(month))
    )
    funds = {fund.id: fund for fund in db.session.scalars(sa.select(Fund))}
    positions = []
    for each in conversion.positions(month, before, ways):
        fund = funds[each.fund_id]
        lines = transfer(
            accounts.conversion(fund.currency),
            accounts.of_fund(fund, "fx"),
            Money(each.residue, fund.currency),
        )
        if lines:
            # A month that is closed again posts what has changed since.
            source = Source(conversion.SOURCE, f"{month}.{(times or 0) + 1}:{fund.code}:{each.currency}", "fx")
            last_moment = month.ends_at - timedelta(microseconds=1)
            post_entry(source, lines, occurred_at=last_moment, recorded_at=now)
        positions.append({"fund": fund.code, "currency": each.currency, "held": each.held, "cost": each.cost})
    return positions


def _sheet(month: Month, before: dict[str, Any] | None, positions: list[dict[str, Any]]) -> dict[str, Any]:
    """What the month came to. Amounts are minor units; a balance is debits less credits at the end of the month."""
    opening = {row["code"]: row["balance"] for row in before["accounts"]} if before else {}
    turnover = {code: (debit, credit) for code, debit, credit in db.session.execute(_turnover(month))}
    rows = []
    totals: defaultdict[str, dict[str, int]] = defaultdict(lambda: {"debit": 0, "credit": 0})
    known = {account.code: account for account in db.session.scalars(sa.select(Account))}
    for code in sorted(opening.keys() | turnover.keys()):
        debit, credit = (int(side) for side in turnover.get(code, (0, 0)))
        start = opening.get(code, 0)
        currency = known[code].currency
        rows.append(
            {
                "code": code,
                "currency": currency,
                "opening": start,
                "debit": debit,
                "credit": credit,
                "balance": start + debit - credit,
            }
        )
        totals[currency]["debit"] += debit
        totals[currency]["credit"] += credit
    return {
        "month": str(month),
        "zone": periods.ZONE,
        "accounts": rows,
        "totals": dict(totals),
        **_counts(month),
        "positions": positions,
        "suspense": _suspense(month),
        "funds": _funds(rows, known),
    }


def _suspense(month: Month) -> list[dict[str, Any]]:
    """What stood in suspense at its end, thing by thing; minor units, above zero for money that is nobody's."""
    return [
        {
            "what": item.what,
            "ref": item.ref,
            "currency": item.amount.currency,
            "amount": item.amount.minor,
            "since": local_day(item.since, periods.ZONE).isoformat(),
        }
        for item in suspense(month.ends_at).items
    ]


def turnover_changed(period: AccountingPeriod) -> list[str]:
    """Accounts whose postings of a closed month are not those of its sheet any more."""
    month = Month.read(period.month)
    now = {code: (int(debit), int(credit)) for code, debit, credit in db.session.execute(_turnover(month))}
    then = {row["code"]: (row["debit"], row["credit"]) for row in period.sheet["accounts"]}
    nothing = (0, 0)
    return [code for code in sorted(now.keys() | then.keys()) if now.get(code, nothing) != then.get(code, nothing)]


def _within(month: Month) -> sa.ColumnElement[bool]:
    return sa.and_(JournalEntry.occurred_at >= month.starts_at, JournalEntry.occurred_at < month.ends_at)


def _turnover(month: Month) -> sa.Select[str, int, int]:
    return (
        sa.select(Account.code, sa.func.sum(Posting.debit_minor), sa.func.sum(Posting.credit_minor))
        .join(Posting, Posting.account_id == Account.id)
        .join(JournalEntry, JournalEntry.id == Posting.entry_id)
        .where(_within(month))
        .group_by(Account.code)
    )


def _counts(month: Month) -> dict[str, int]:
    entries = sa.select(sa.func.count(), sa.func.count(JournalEntry.late_for)).where(_within(month))
    count, late = db.session.execute(entries.select_from(JournalEntry)).one()
    postings = sa.select(sa.func.count(Posting.id)).join(JournalEntry, JournalEntry.id == Posting.entry_id)
    return {"entries": count, "late_entries": late, "postings": db.session.scalar(postings.where(_within(month))) or 0}


def _funds(rows: list[dict[str, Any]], known: dict[str, Account]) -> list[dict[str, Any]]:
    """What each fund came to by the end of the month."""
    kinds: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        account = known[row["code"]]
        if account.fund_id is not None:
            kinds[account.fund_id][account.kind] -= row["balance"]
    funds = db.session.scalars(sa.select(Fund).where(Fund.id.in_(kinds)).order_by(Fund.code))
    return [{"fund": fund.code, **_figures(totals_of_kinds(fund.currency, kinds[fund.id]))} for fund in funds]


def _figures(totals: FundTotals) -> dict[str, Any]:
    names = ("currency", "raised", "refunded", "disputed", "fees", "fx", "earmarked", "fees_pending", "spent")
    return {name: getattr(totals, name) for name in (*names, "available")}
