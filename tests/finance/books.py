"""What tests of the books need: a fund with money in it, months, people of finance."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from core.db import db, unit_of_work
from core.money import Money
from finance import closing, disbursements
from finance.disbursements import Spending
from ledger import accounts
from ledger.models import Disbursement, Fund, JournalEntry
from ledger.periods import Month
from ledger.services import Source, post_entry, transfer
from staff.access import Actor
from staff.models import StaffMember
from tests.staff.console import make_member

BY = {"actor": "finance@example.org", "address": "-"}
FEBRUARY, MARCH = Month(2026, 2), Month(2026, 3)
LATER = datetime(2026, 4, 20, 12, tzinfo=UTC)


def moment(day: int, month: int = 2, hour: int = 12) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def fund(code: str = "specialists") -> Fund:
    return db.session.scalars(sa.select(Fund).where(Fund.code == code)).one()


def gift(
    amount: int,
    ref: str,
    when: datetime,
    *,
    settled: bool = False,
    recorded_at: datetime | None = None,
    of: str = "specialists",
) -> bool:
    """A gift in the books of a fund; settled in euros at a quarter of it without a fee where asked."""
    recorded_at = recorded_at or when
    with unit_of_work():
        to = fund(of)
        receivable, money = accounts.receivable("stripe", to), Money(amount, "BYN")
        new = post_entry(
            Source("payment", ref, "gift"),
            transfer(receivable, accounts.of_fund(to, "gift"), money),
            occurred_at=when,
            recorded_at=recorded_at,
        )
        if settled:
            euros = Money(amount // 4, "EUR")
            post_entry(
                Source("settlement", f"txn_{ref}", "charge"),
                [
                    *transfer(accounts.provider_balance("stripe", "EUR"), accounts.conversion("EUR"), euros),
                    *transfer(accounts.conversion("BYN"), receivable, money),
                ],
                occurred_at=when,
                recorded_at=recorded_at,
            )
    db.session.remove()
    return new


def close(month: Month, now: datetime = LATER) -> dict[str, Any]:
    with unit_of_work():
        period = closing.close_month(month, now=now, reason="whatever is open", **BY)
        sheet, stored = dict(period.sheet), period.sheet_hash
    db.session.remove()
    assert closing.hash_of(sheet) == stored
    return sheet


def reopen(month: Month, reason: str = "a bank line was missing", now: datetime = LATER) -> None:
    with unit_of_work():
        closing.reopen_month(month, reason, now=now, **BY)
    db.session.remove()


def entry(ref: str, kind: str = "gift") -> JournalEntry:
    db.session.rollback()
    db.session.expire_all()
    query = sa.select(JournalEntry).where(JournalEntry.source_id == ref, JournalEntry.kind == kind)
    return db.session.scalars(query).one()


def person(name: str) -> Actor:
    """A member of finance as services see one."""
    email = f"{name}@example.org"
    found = db.session.scalar(sa.select(StaffMember.id).where(StaffMember.email == email))
    db.session.rollback()
    if found is None:
        make_member(email, "finance")
        found = db.session.scalars(sa.select(StaffMember.id).where(StaffMember.email == email)).one()
        db.session.rollback()
    return Actor(found, email, name, frozenset({"finance"}), "-")


def spending(amount: int, day: date = date(2026, 2, 20), *, bank: Money | None = None, trained: int = 0) -> Spending:
    money = Money(amount, "BYN")
    return Spending(day, money, bank or money, "Training in Brest", "Act 7 of 20.02.2026", trained)


def proposed(amount: int, by: Actor, now: datetime = LATER, **more: Any) -> str:
    """The number of a proposal."""
    with unit_of_work():
        made = disbursements.propose(fund(), spending(amount, **more), str(uuid.uuid4()), by, now)
        number = made.public_id
    db.session.remove()
    return number


def approve(number: str, by: Actor, now: datetime = LATER) -> None:
    with unit_of_work():
        disbursements.approve(disbursements.find(number), by, now)


def state_of(number: str) -> str:
    db.session.rollback()
    return db.session.scalars(sa.select(Disbursement.state).where(Disbursement.public_id == number)).one()


@contextmanager
def undone() -> Iterator[None]:
    """Whatever a refusal left in the session is gone afterwards."""
    try:
        yield
    finally:
        db.session.remove()
