"""Bank accounts of the demonstration: one in roubles, one for the provider's payouts, each with how it is read."""

from datetime import datetime

import sqlalchemy as sa

from core.db import db, unit_of_work
from finance.bank.mapping import Mapping
from finance.bank.models import BankAccount
from finance.bank.services import make_account
from staff.audit import COMMAND_LINE

COLUMNS = Mapping(
    day="Дата",
    credit="Зачислено",
    debit="Списано",
    reference="Назначение платежа",
    counterparty="Контрагент",
    opening="Входящий остаток",
    closing="Исходящий остаток",
)
ACCOUNTS = {"BYN": "Благотворительный счёт (пример)", "EUR": "Счёт выплат провайдера (пример)"}


def seed_bank(now: datetime) -> bool:
    """Whether they were made now: not where there is an account already."""
    there = db.session.scalar(sa.select(BankAccount.id).limit(1))
    db.session.rollback()
    if there is not None:
        return False
    with unit_of_work():
        for currency, name in ACCOUNTS.items():
            make_account(currency, name, currency, COLUMNS, actor=COMMAND_LINE, address="-", now=now)
    db.session.remove()
    return True
