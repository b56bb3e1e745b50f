"""Statements are imported whole or not at all; lines that are there already are not brought twice."""

import hashlib
import re
from datetime import datetime

import sqlalchemy as sa

from core.clock import local_day
from core.db import db, insert_if_absent
from core.ids import new_public_id
from core.money import EXPONENTS
from finance import errors as finance_errors
from finance.bank import errors
from finance.bank.mapping import Mapping
from finance.bank.matching import match_lines
from finance.bank.models import BankAccount, BankLine, BankStatement
from finance.bank.reading import Movement, Statement, StatementRefused, read_statement
from ledger import periods
from staff import audit

MOST_MEGABYTES = 20
CODE = re.compile(r"[A-Za-z0-9-]{1,20}", re.ASCII)


def make_account(
    code: str, name: str, currency: str, mapping: Mapping, *, actor: str, address: str, now: datetime
) -> BankAccount:
    """Raises `CodeInvalid`, `CurrencyUnknown`, `BankAccountTaken`."""
    if not CODE.fullmatch(code):
        raise errors.CodeInvalid(field="code")
    if currency not in EXPONENTS:
        raise finance_errors.CurrencyUnknown(field="currency")
    values = {"name": name or code, "currency": currency, "mapping": mapping.as_json(), "created_at": now}
    if not insert_if_absent(BankAccount, code=code, **values):
        raise errors.BankAccountTaken(field="code")
    account = account_by_code(code)
    after = {"name": account.name, "currency": currency, "mapping": account.mapping}
    audit.record(actor, "bank_account.made", f"bank_account:{code}", after=after, now=now, address=address)
    return account


def change_account(
    account: BankAccount, name: str, mapping: Mapping, *, actor: str, address: str, now: datetime
) -> None:
    """A new name, and how statements are read from now on; the currency stays."""
    before = {"name": account.name, "mapping": account.mapping}
    account.name, account.mapping = name or account.code, mapping.as_json()
    after = {"name": account.name, "mapping": account.mapping}
    subject = f"bank_account:{account.code}"
    audit.record(actor, "bank_account.changed", subject, before=before, after=after, now=now, address=address)


def account_by_code(code: str) -> BankAccount:
    """Raises `UnknownBankAccount`."""
    found = db.session.scalar(sa.select(BankAccount).where(BankAccount.code == code))
    if found is None:
        raise errors.UnknownBankAccount
    return found


def check_statement(account: BankAccount, data: bytes) -> tuple[Statement, int]:
    """What the file says with every fault of it, and how many of its lines are not here yet. Reads only.

    Raises `StatementTooLarge`.
    """
    if len(data) > MOST_MEGABYTES * 1024 * 1024:
        raise errors.StatementTooLarge(field="file", megabytes=MOST_MEGABYTES)
    statement = read_statement(data, Mapping(**account.mapping), account.currency)
    return statement, len(statement.movements) - _known(account, statement.movements)


def _known(account: BankAccount, movements: list[Movement]) -> int:
    if not movements:
        return 0
    days = [each.day for each in movements]
    query = sa.select(BankLine.fingerprint, BankLine.ordinal).where(
        BankLine.account_id == account.id, BankLine.day.between(min(days), max(days))
    )
    there = {(row.fingerprint, row.ordinal) for row in db.session.execute(query)}
    return sum((each.fingerprint, each.ordinal) in there for each in movements)


def import_statement(
    account: BankAccount, data: bytes, name: str, *, actor: str, address: str, now: datetime
) -> BankStatement:
    """Keep the movements of a file and match what can be matched.

    Raises `StatementTooLarge`, `StatementRefused`, `ImportedBefore`.
    """
    statement, _new = check_statement(account, data)
    if not statement.good:
        raise StatementRefused(statement)
    digest, days = hashlib.sha256(data).hexdigest(), [each.day for each in statement.movements]
    kept = {
        "name": name[:120],
        "first_day": min(days),
        "last_day": max(days),
        "lines": len(days),
        "new_lines": 0,
        "opening_minor": statement.opening.minor if statement.opening is not None else None,
        "closing_minor": statement.closing.minor if statement.closing is not None else None,
        "imported_by": actor,
        "imported_at": now,
    }
    is_new = insert_if_absent(BankStatement, account_id=account.id, sha256=digest, **kept)
    query = sa.select(BankStatement).where(BankStatement.account_id == account.id, BankStatement.sha256 == digest)
    row = db.session.scalars(query).one()
    if not is_new:
        raise errors.ImportedBefore(field="file", day=local_day(row.imported_at, periods.ZONE).isoformat())
    row.new_lines = sum(_keep(account, row, each) for each in statement.movements)
    db.session.flush()
    after = {"file": row.name, "sha256": digest, "lines": row.lines, "new": row.new_lines}
    audit.record(actor, "bank.imported", f"bank_account:{account.code}", after=after, now=now, address=address)
    match_lines(now)
    return row


def _keep(account: BankAccount, statement: BankStatement, movement: Movement) -> bool:
    return insert_if_absent(
        BankLine,
        public_id=new_public_id(),
        account_id=account.id,
        statement_id=statement.id,
        day=movement.day,
        amount_minor=movement.amount.minor,
        currency=movement.amount.currency,
        reference=movement.reference,
        counterparty=movement.counterparty,
        fingerprint=movement.fingerprint,
        ordinal=movement.ordinal,
    )
