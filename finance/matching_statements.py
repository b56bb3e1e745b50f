"""Lines of bank statements against what the bank wrote: each as it was read, together from balance to balance."""

from collections.abc import Iterator

import sqlalchemy as sa

from core.db import db
from core.money import Money
from finance.bank.models import BankLine, BankMatch, BankStatement
from finance.bank.reading import Movement
from finance.findings import Finding
from finance.models import SponsorPayment
from finance.standing import Books, objects
from ledger.models import Disbursement


def statement_findings(_books: Books) -> Iterator[Finding]:
    yield from _edited_lines()
    yield from _statements()
    yield from _matched_with_others()


def _edited_lines() -> Iterator[Finding]:
    """The fingerprint of a line is made of all that it says."""
    for line in objects(sa.select(BankLine), BankLine):
        read = Movement(0, line.day, line.amount, line.reference, line.counterparty)
        if read.fingerprint != line.fingerprint or line.currency != line.account.currency:
            details = {"day": line.day.isoformat(), "says": line.reference[:120]}
            yield Finding("wrong_amount", "bank_line", line.public_id, line.amount, None, details)


def _statements() -> Iterator[Finding]:
    """Opening balance and movements of a file make its closing one. Of a file that overlaps others only the new lines
    are its own: it is compared when all lines of its days are in it."""
    own = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(BankLine.amount_minor), 0))
    query = sa.select(BankStatement).where(
        BankStatement.opening_minor.is_not(None), BankStatement.closing_minor.is_not(None)
    )
    for statement in objects(query, BankStatement):
        of_it = BankLine.statement_id == statement.id
        if statement.lines != statement.new_lines:
            days = BankLine.day.between(statement.first_day, statement.last_day)
            of_it = sa.and_(BankLine.account_id == statement.account_id, days)
        count, total = db.session.execute(own.where(of_it)).one()
        expected = (statement.closing_minor or 0) - (statement.opening_minor or 0)
        whole = statement.lines == statement.new_lines
        if (whole and count != statement.lines) or (count == statement.lines and int(total) != expected):
            details = {"booked": int(total), "expected": expected, "file": statement.name}
            off = Money(int(total) - expected, statement.account.currency)
            yield Finding("wrong_amount", "bank_statement", str(statement.id), off, None, details)


def _matched_with_others() -> Iterator[Finding]:
    """A line that is taken for a payment of ours, or of a sponsor, is of its amount."""
    query = sa.select(BankMatch).where(BankMatch.kind.in_(("disbursement", "sponsor")), BankMatch.undone_at.is_(None))
    for match in objects(query, BankMatch):
        ours = _ours(match)
        if ours is None or ours != match.line.amount:
            same = ours is not None and ours.currency == match.line.currency
            off = match.line.amount - ours if ours is not None and same else match.line.amount
            details = {"booked": match.line.amount_minor, "expected": ours.minor if ours else 0}
            yield Finding("wrong_amount", "bank_match", match.line.public_id, off, None, details)


def _ours(match: BankMatch) -> Money | None:
    if match.kind == "sponsor":
        paid = db.session.scalar(sa.select(SponsorPayment).where(SponsorPayment.public_id == match.ref))
        return paid.bank_amount if paid else None
    spent = db.session.scalar(sa.select(Disbursement).where(Disbursement.public_id == match.ref))
    if spent is None:
        return None
    return spent.bank_amount if spent.reverses_id else -spent.bank_amount
