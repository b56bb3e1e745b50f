"""The service and the provider together, in the words of a test: give, pay, deliver, look."""

from datetime import timedelta
from typing import Any

import requests
import sqlalchemy as sa
from flask import Flask

from core.clock import from_unix
from core.db import db
from core.models import OutboxMessage
from core.money import Money
from donations.models import Donation, Donor, Payment, Receipt
from donations.schemas import DonationStateOut
from donations.views import represent
from ledger.models import JournalEntry, LedgerException
from ledger.queries import balances
from ops.demo import SLUG
from payments.base import CheckoutRequest
from payments.registry import get_provider
from sandbox.server import SandboxServer
from stickers.models import RedemptionCode
from webhooks.models import InboxEvent


class House:
    def __init__(self, app: Flask, sandbox: SandboxServer) -> None:
        self.app = app
        self.sandbox = sandbox
        self.client = app.test_client()
        self._keys = 0

    # What people do

    def give(self, amount: int = 2500, *, key: str | None = None, **body: Any) -> dict[str, Any]:
        """Start a donation over the API; its answer."""
        self._keys += 1
        response = self.client.post(
            "/api/v1/donations",
            json={"campaign": SLUG, "amount": amount, "currency": "BYN", **body},
            headers={"Idempotency-Key": key or f"test-key-{self._keys}"},
        )
        assert response.status_code == 201, response.json
        return dict(response.json or {})

    def pay(self, donation: dict[str, Any], outcome: str = "pay") -> None:
        """Press a button on the provider's page, as the donor's browser does."""
        answer = requests.post(donation["checkout_url"], data={"outcome": outcome}, allow_redirects=False, timeout=10)
        assert answer.status_code in (200, 303), answer.status_code

    def given(self, amount: int = 2500, **body: Any) -> dict[str, Any]:
        """A donation that is paid, its events delivered and all work done."""
        donation = self.give(amount, **body)
        self.pay(donation)
        self.deliver()
        return donation

    def stranger_pays(self) -> str:
        """Somebody pays 40 roubles on a page that the same account opened for something else; the page's reference."""
        checkout = get_provider("stripe").create_checkout(
            CheckoutRequest(
                our_ref="nobody-knows-this",
                donation_ref="nobody-knows-this",
                campaign="other",
                amount=Money(4000, "BYN"),
                product="Something else",
                description="",
                locale="en",
                success_url="http://other.test/",
                cancel_url="http://other.test/",
                notification_url="",
                expires_at=from_unix(self.sandbox.clock.timestamp()) + timedelta(hours=2),
            )
        )
        self.pay({"checkout_url": checkout.url})
        return checkout.checkout_ref

    # What happens by itself

    def transport(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        db.session.remove()
        response = self.client.post("/webhooks/stripe", data=body, headers=headers)
        return response.status_code

    def deliver(self) -> None:
        """Deliver the provider's events in order and let the worker finish."""
        self.sandbox.deliver_pending(self.transport)
        self.work()

    def post_event(self, event: dict[str, Any]) -> int:
        """Hand over one event as the provider would, signed now; the status of the answer."""
        body, headers = self.sandbox.signed(event)
        return self.transport("", body, headers)

    def work(self) -> None:
        """Let the worker run until nothing is queued."""
        jobs = self.app.extensions["jobs"]
        db.session.remove()
        while jobs.run_queued():
            pass
        db.session.remove()

    # What can be seen

    def state(self, donation: dict[str, Any]) -> dict[str, Any]:
        """The donation as stored, in the API's words; the API itself would ask the provider about an open one."""
        return dict(DonationStateOut().dump(represent(self.row(donation))))

    def totals(self) -> dict[str, Any]:
        return dict(self.client.get(f"/api/v1/campaigns/{SLUG}/totals").json or {})

    def row(self, donation: dict[str, Any]) -> Donation:
        db.session.rollback()
        db.session.expire_all()
        return db.session.scalars(sa.select(Donation).where(Donation.token == donation["token"])).one()

    def payments(self, donation: dict[str, Any]) -> list[Payment]:
        return list(self.row(donation).payments)

    def balances(self) -> dict[str, int]:
        """Debits less credits by account, without accounts at zero."""
        db.session.rollback()
        return {code: amount for code, amount in balances().items() if amount}

    def count(self, model: type[Any], *where: Any) -> int:
        db.session.rollback()
        return int(db.session.scalar(sa.select(sa.func.count()).select_from(model).where(*where)) or 0)

    def nothing_stored(self) -> bool:
        """No donation, donor, payment, entry, code, receipt, e-mail or event has been written."""
        tables = (
            Donation,
            Donor,
            Payment,
            JournalEntry,
            RedemptionCode,
            Receipt,
            OutboxMessage,
            InboxEvent,
            LedgerException,
        )
        return all(self.count(table) == 0 for table in tables)
