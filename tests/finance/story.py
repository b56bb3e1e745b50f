"""The months of docs/finance.md, lived through with the sandbox: each example is a method of `Story`.

The provider's clock, and with it every moment of the story, stands where the document says.
"""

import time
import uuid
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from core.db import db, unit_of_work
from core.money import Money
from donations.models import Campaign
from donations.services import Gift, ensure_checkout, start_donation
from donations.views import addresses
from finance import closing, disbursements, sponsor
from finance.bank import matching
from finance.bank import services as bank
from finance.bank.mapping import Mapping
from finance.bank.models import BankAccount
from finance.disbursements import Spending
from ledger.models import Account, Fund, JournalEntry, Posting
from ledger.periods import ZONE, Month
from ops.demo import SLUG
from payments.registry import get_provider
from sandbox.settings import DEFAULT_EVENTS
from tests.finance.books import BY, FEBRUARY, person
from tests.house import House
from webhooks import services

Rows = list[tuple[str, str, str, str]]  # day, account, debit, credit
Entries = list[tuple[str, list[tuple[str, str, str]]]]  # day, and its rows: account, debit, credit


class Story:
    def __init__(self, house: House) -> None:
        self.house = house
        self.sandbox = house.sandbox
        self.now = datetime(2026, 2, 9, 9, tzinfo=UTC)
        self.pages: dict[str, str] = {}
        self._told: set[str] = set()
        self._seen: set[uuid.UUID] = set()
        self.on(9)

    def on(self, day: int, month: int = 2, hour: int = 9) -> None:
        """It is this day of 2026, at noon in Minsk."""
        self.at(datetime(2026, month, day, hour, tzinfo=UTC))

    def at(self, now: datetime) -> None:
        self.now = now
        self.sandbox.clock.offset = self.now.timestamp() - time.time() + 1

    def give(self, name: str, amount: int) -> None:
        """Somebody gives and pays; nobody is told."""
        gift = Gift(SLUG, amount, "BYN", "api")
        donation = start_donation(gift, f"{name}-key", self.now)
        url = ensure_checkout(donation, addresses(), self.now)
        db.session.remove()
        self.house.pay({"checkout_url": url})
        self.pages[name] = str(url).rpartition("/")[2]

    def tell(self) -> None:
        """The provider's events come, and the worker does its work."""
        provider = get_provider("stripe")
        for event in self.sandbox.events():
            if event["type"] in DEFAULT_EVENTS and event["id"] not in self._told:
                self._told.add(event["id"])
                body, headers = self.sandbox.signed(event)
                stored = services.store_event(provider.verify(body, headers, now=self.now), self.now)
                if stored is not None:
                    services.apply_held(stored, self.now)
        services.apply_due(self.now)
        db.session.remove()

    def new_entries(self) -> Entries:
        """What was booked since the last look, in the order in which it was recorded."""
        db.session.rollback()
        order = sa.select(JournalEntry).order_by(JournalEntry.recorded_at, JournalEntry.id)
        entries = [entry for entry in db.session.scalars(order) if entry.id not in self._seen]
        self._seen |= {entry.id for entry in entries}
        return [(_day(entry), sorted(_rows_of(entry))) for entry in entries]

    # The examples, in the order of the document

    def a_payment_and_its_settlement(self) -> None:
        self.give("a", 2500)
        self.tell()

    def a_refund(self) -> None:
        self.on(10)
        self.refund = self.sandbox.drills.refund(self.pages["a"], 500)["id"]
        self.tell()

    def a_refund_that_fails(self) -> None:
        self.on(12)
        self.sandbox.drills.fail_refund(self.refund)
        self.tell()

    def three_more_gifts(self) -> None:
        self.on(13)
        for name, amount in (("b", 5000), ("c", 5000), ("d", 20_000)):
            self.give(name, amount)
        self.tell()

    def a_dispute_is_opened(self) -> None:
        self.on(14)
        self.won = self.sandbox.drills.dispute(self.pages["b"])["id"]
        self.tell()

    def a_dispute_is_won(self) -> None:
        self.on(16)
        self.sandbox.drills.win_dispute(self.won)
        self.tell()

    def another_dispute_is_opened(self) -> None:
        self.on(16, hour=11)
        self.lost = self.sandbox.drills.dispute(self.pages["c"])["id"]
        self.tell()

    def a_dispute_is_lost(self) -> None:
        self.on(17)
        self.sandbox.drills.lose_dispute(self.lost)
        self.tell()

    def a_payout(self) -> None:
        self.on(18)
        self.payout = self.sandbox.drills.payout()["id"]
        self.tell()

    def a_payout_that_arrives_at_the_bank(self) -> None:
        self._bank_says(date(2026, 2, 18), 5707, "STRIPE PAYOUT")

    def a_payout_that_fails(self) -> None:
        self.on(19)
        self.sandbox.drills.fail_payout(self.payout)
        self.tell()

    def a_payout_that_the_bank_sends_back(self) -> None:
        self._bank_says(date(2026, 2, 19), -5707, "RETURNED")

    def a_payment_to_a_programme(self) -> None:
        self.on(20)
        self._spend(4000, Money(1150, "EUR"))

    def a_payment_to_a_programme_in_roubles(self) -> None:
        self.on(21)
        self.spent = self._spend(1000, Money(1000, "BYN"))

    def money_that_came_back(self) -> None:
        self.on(25)
        with unit_of_work():
            spent = disbursements.find(self.spent)
            back = disbursements.propose_return(
                spent, date(2026, 2, 25), "course cancelled", str(uuid.uuid4()), person("anna"), self.now
            )
            disbursements.approve(back, self.boris, self.now)
        db.session.remove()

    def the_close_of_a_month(self) -> None:
        self.on(2, month=3)
        self._close()

    def a_late_posting(self) -> None:
        self.on(28)
        self.give("e", 3000)
        self.on(3, month=3)
        self.tell()

    def a_reopened_month(self) -> None:
        self.on(28)
        self.give("f", 1500)
        self.on(4, month=3)
        with unit_of_work():
            closing.reopen_month(Month(2026, 2), "a gift was left out", now=self.now, **BY)
        self.tell()

    def fees_that_a_sponsor_bears(self) -> None:
        self.on(5, month=3)
        with unit_of_work() as session:
            session.execute(sa.update(Campaign).values(fees_borne_by="sponsor"))
        self.give("g", 2500)
        self.tell()

    def the_sponsor_pays(self) -> None:
        self.on(10, month=3)
        anna, debt = person("anna"), Money(156, "BYN")
        with unit_of_work() as session:
            fund = session.scalars(sa.select(Fund)).one()
            sponsor.record_payment(fund, date(2026, 3, 10), debt, debt, "Order 12", str(uuid.uuid4()), anna, self.now)

    def money_that_belongs_to_nobody(self) -> None:
        self.on(11, month=3)
        self.house.stranger_pays()
        self.tell()

    def _bank_says(self, day: date, cents: int, text: str) -> None:
        """A statement of one line is imported, and the line is matched by itself."""
        with unit_of_work() as session:
            if session.scalar(sa.select(BankAccount.id).where(BankAccount.code == "EUR")) is None:
                mapping = Mapping(day="Day", amount="Amount", reference="Text", day_format="%Y-%m-%d", decimal=".")
                bank.make_account("EUR", "Bank", "EUR", mapping, now=self.now, **BY)
        with unit_of_work():
            file = f"Day,Amount,Text\n{day},{cents / 100:.2f},{text}\n"
            bank.import_statement(bank.account_by_code("EUR"), file.encode(), f"{day}.csv", now=self.now, **BY)
        db.session.remove()

    def a_payout_that_arrives_in_roubles(self) -> None:
        self.on(16, month=3)
        payout = self.sandbox.drills.payout()["id"]
        self.tell()
        self.on(18, month=3)
        text, anna = b"Day;Amount\n18.03.2026;300,00\n", person("anna")
        with unit_of_work():
            account = bank.make_account("BYN", "", "BYN", Mapping("Day", "Amount"), now=self.now, **BY)
            bank.import_statement(account, text, "march.csv", now=self.now, **BY)
            line = matching.waiting_lines()[0]
            matching.match_by_hand(line, "payout", f"stripe:{payout}", "sold", anna, self.now)
        db.session.remove()

    def the_close_of_the_next_month(self) -> None:
        self.on(2, month=4)
        self._close()
        self._close(Month(2026, 3))

    def _spend(self, amount: int, bank: Money) -> str:
        anna, self.boris = person("anna"), person("boris")
        day = self.now.astimezone(ZoneInfo(ZONE)).date()
        spending = Spending(day, Money(amount, "BYN"), bank, "Training in Brest", "Act 7", 10)
        with unit_of_work() as session:
            fund = session.scalars(sa.select(Fund)).one()
            made = disbursements.propose(fund, spending, str(uuid.uuid4()), anna, self.now)
            disbursements.approve(made, self.boris, self.now)
            number = made.public_id
        db.session.remove()
        return number

    def _close(self, month: Month = FEBRUARY) -> dict[str, Any]:
        with unit_of_work():
            sheet = dict(closing.close_month(month, now=self.now, reason="40 roubles are not ours", **BY).sheet)
        db.session.remove()
        return sheet


def _rows_of(entry: JournalEntry) -> list[tuple[str, str, str]]:
    query = (
        sa.select(Account.code, Posting.currency, Posting.debit_minor, Posting.credit_minor)
        .join(Account, Account.id == Posting.account_id)
        .where(Posting.entry_id == entry.id)
    )
    return [
        (code, _shown(debit, currency), _shown(credit, currency))
        for code, currency, debit, credit in db.session.execute(query)
    ]


def _day(entry: JournalEntry) -> str:
    day = entry.occurred_at.astimezone(ZoneInfo(ZONE)).strftime("%d.%m.%Y")
    if entry.happened_at is None:
        return day
    return f"{day} (late for {entry.happened_at.astimezone(ZoneInfo(ZONE)):%d.%m.%Y})"


def _shown(minor: int, currency: str) -> str:
    return f"{Money(minor, currency).major} {currency}" if minor else ""
