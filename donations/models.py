"""Tables of campaigns and gifts. `Donation.status` is derived state, written by `donations.state` alone."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Base, BigKey
from core.i18n import Localized, LocalizedText
from core.ids import new_public_id, new_token
from core.money import Money
from ledger.models import Fund

DONATION_STATUSES = (
    "pending",
    "processing",
    "paid",
    "partially_refunded",
    "refunded",
    "disputed",
    "failed",
    "expired",
)
RECEIVED = ("paid", "partially_refunded", "refunded", "disputed")  # the money came, whatever happened later
RESOURCE_KINDS = ("helpline", "consultation", "video", "test", "workbook", "article")


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


class Campaign(Base):
    """What people give for. Amounts are minor units of `currency`, which is the fund's."""

    __tablename__ = "campaigns"
    __table_args__ = (
        sa.CheckConstraint("0 < min_minor AND min_minor <= max_minor", name="limits"),
        sa.CheckConstraint("fees_borne_by IN ('fund', 'sponsor')", name="fees_borne_by"),
        sa.CheckConstraint("opens_at IS NULL OR closes_at IS NULL OR opens_at < closes_at", name="dates"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    slug: Mapped[str] = mapped_column(sa.String(60), unique=True)
    title: Mapped[Localized] = mapped_column(LocalizedText)
    lead: Mapped[Localized] = mapped_column(LocalizedText)
    designation: Mapped[Localized] = mapped_column(LocalizedText)
    uses: Mapped[list[dict[str, Any]]] = mapped_column(sa.JSON, default=list)  # [{"title": texts, "text": texts}]
    partners: Mapped[Localized | None] = mapped_column(LocalizedText(none_as_null=True))
    fund_id: Mapped[int] = mapped_column(sa.ForeignKey("funds.id"))
    currency: Mapped[str] = mapped_column(sa.String(3))
    goal_minor: Mapped[int] = mapped_column(sa.BigInteger)
    suggested_minor: Mapped[list[int]] = mapped_column(sa.JSON)
    min_minor: Mapped[int] = mapped_column(sa.BigInteger)
    max_minor: Mapped[int] = mapped_column(sa.BigInteger)
    fees_borne_by: Mapped[str] = mapped_column(sa.String(10), default="fund")
    zone: Mapped[str] = mapped_column(sa.String(40), default="Europe/Minsk")
    opens_at: Mapped[datetime | None]
    closes_at: Mapped[datetime | None]
    collect_until: Mapped[datetime | None]  # until when packs are handed over for codes; null: as long as there are any
    front_since: Mapped[datetime | None]  # the latest one stands at `/`; without any, the first campaign

    fund: Mapped[Fund] = relationship(lazy="joined")
    resources: Mapped[list["CampaignResource"]] = relationship(order_by="CampaignResource.position")

    def money(self, minor: int) -> Money:
        return Money(minor, self.currency)


class CampaignResource(Base):
    """Help and learning materials; `target` is an address (https:, tel:) and `label` how it is written for people."""

    __tablename__ = "campaign_resources"
    __table_args__ = (
        sa.CheckConstraint(_one_of("kind", RESOURCE_KINDS), name="kind"),
        sa.UniqueConstraint("campaign_id", "position"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    campaign_id: Mapped[int] = mapped_column(sa.ForeignKey("campaigns.id"))
    position: Mapped[int]
    kind: Mapped[str] = mapped_column(sa.String(20))
    title: Mapped[Localized] = mapped_column(LocalizedText)
    text: Mapped[Localized] = mapped_column(LocalizedText)
    label: Mapped[str] = mapped_column(sa.String(80), default="")
    target: Mapped[str] = mapped_column(sa.String(300), default="")


class Donor(Base):
    """The only row with personal data of a donor; emptied on erasure, while the donation stays."""

    __tablename__ = "donors"
    __table_args__ = (sa.Index("ix_donors_email", sa.text("lower(email)")),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(120))
    email: Mapped[str | None] = mapped_column(sa.String(254))
    created_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]


class Donation(Base):
    __tablename__ = "donations"
    __table_args__ = (
        sa.UniqueConstraint("idempotency_scope", "idempotency_key"),
        sa.CheckConstraint("amount_minor > 0", name="amount"),
        sa.CheckConstraint(_one_of("status", DONATION_STATUSES), name="status"),
        sa.Index("ix_donations_campaign_status", "campaign_id", "status"),
        # What finance looks for, the newest first.
        sa.Index("ix_donations_amount_minor", "amount_minor", "id"),
        sa.Index("ix_donations_placement", "placement", "id"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    token: Mapped[str] = mapped_column(sa.String(40), unique=True, default=new_token)
    campaign_id: Mapped[int] = mapped_column(sa.ForeignKey("campaigns.id"))
    donor_id: Mapped[int | None] = mapped_column(sa.ForeignKey("donors.id"), index=True)
    anonymous: Mapped[bool] = mapped_column(default=False)
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.String(3))
    status: Mapped[str] = mapped_column(sa.String(20), default="pending")
    version: Mapped[int] = mapped_column(default=0)
    locale: Mapped[str] = mapped_column(sa.String(2))
    channel: Mapped[str] = mapped_column(sa.String(10))  # page or api
    placement: Mapped[str | None] = mapped_column(sa.String(20))  # code of the link that led here
    created_at: Mapped[datetime] = mapped_column(index=True)
    paid_at: Mapped[datetime | None]
    idempotency_scope: Mapped[str] = mapped_column(sa.String(40))
    idempotency_key: Mapped[str] = mapped_column(sa.String(255))
    request_hash: Mapped[str] = mapped_column(sa.String(64))

    campaign: Mapped[Campaign] = relationship()
    donor: Mapped[Donor | None] = relationship()
    payments: Mapped[list["Payment"]] = relationship(back_populates="donation", order_by="Payment.id")
    receipt: Mapped["Receipt | None"] = relationship(back_populates="donation")

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class Payment(Base):
    """One attempt. `review` says why its money is not counted although the provider took it."""

    __tablename__ = "payments"
    __table_args__ = (
        sa.UniqueConstraint("provider", "checkout_ref"),
        sa.UniqueConstraint("provider", "payment_ref"),
        sa.CheckConstraint(_one_of("state", ("created", "processing", "succeeded", "failed", "expired")), name="state"),
        sa.CheckConstraint("(state = 'succeeded') = (succeeded_at IS NOT NULL)", name="succeeded_at"),
        sa.Index("ix_payments_charge_ref", "charge_ref"),
        sa.Index(
            "ix_payments_open",
            "next_ask_at",
            sqlite_where=sa.text("next_ask_at IS NOT NULL"),
            postgresql_where=sa.text("next_ask_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    donation_id: Mapped[int] = mapped_column(sa.ForeignKey("donations.id"), index=True)
    provider: Mapped[str] = mapped_column(sa.String(20))
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.String(3))
    state: Mapped[str] = mapped_column(sa.String(12), default="created")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    checkout_ref: Mapped[str | None] = mapped_column(sa.String(255))
    checkout_url: Mapped[str | None] = mapped_column(sa.Text)
    payment_ref: Mapped[str | None] = mapped_column(sa.String(255))
    charge_ref: Mapped[str | None] = mapped_column(sa.String(255))
    succeeded_at: Mapped[datetime | None]
    failure_code: Mapped[str | None] = mapped_column(sa.String(80))
    review: Mapped[str | None] = mapped_column(sa.String(40))
    asked_at: Mapped[datetime | None]
    next_ask_at: Mapped[datetime | None]  # when the sweep asks the provider; null once it ended
    asks: Mapped[int] = mapped_column(default=0)

    donation: Mapped[Donation] = relationship(back_populates="payments")
    refunds: Mapped[list["Refund"]] = relationship(back_populates="payment", order_by="Refund.id")
    disputes: Mapped[list["Dispute"]] = relationship(back_populates="payment", order_by="Dispute.id")

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class Refund(Base):
    """Ours (`origin` surplus or finance, asked of the provider by a worker) or made at the provider."""

    __tablename__ = "refunds"
    __table_args__ = (
        sa.UniqueConstraint("provider", "refund_ref"),
        sa.CheckConstraint("amount_minor > 0", name="amount"),
        sa.CheckConstraint(
            _one_of("state", ("requested", "pending", "requires_action", "succeeded", "failed", "canceled")),
            name="state",
        ),
        sa.CheckConstraint(_one_of("origin", ("provider", "surplus", "finance")), name="origin"),
        # One surplus refund for a payment, however often the surplus is noticed.
        sa.Index(
            "uq_refunds_surplus",
            "payment_id",
            unique=True,
            sqlite_where=sa.text("origin = 'surplus'"),
            postgresql_where=sa.text("origin = 'surplus'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    payment_id: Mapped[int] = mapped_column(sa.ForeignKey("payments.id"), index=True)
    provider: Mapped[str] = mapped_column(sa.String(20))
    refund_ref: Mapped[str | None] = mapped_column(sa.String(255))
    origin: Mapped[str] = mapped_column(sa.String(10))
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.String(3))
    state: Mapped[str] = mapped_column(sa.String(20))
    reason: Mapped[str] = mapped_column(sa.String(200), default="")
    failure_code: Mapped[str | None] = mapped_column(sa.String(80))
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]  # when it failed or was canceled: the money is ours again
    next_try_at: Mapped[datetime | None]  # when a worker asks the provider for it; null once it has been asked
    tries: Mapped[int] = mapped_column(default=0)

    payment: Mapped[Payment] = relationship(back_populates="refunds")

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class Dispute(Base):
    """A donor's bank questions a payment."""

    __tablename__ = "disputes"
    __table_args__ = (
        sa.UniqueConstraint("provider", "dispute_ref"),
        sa.CheckConstraint(_one_of("state", ("inquiry", "open", "won", "lost")), name="state"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    payment_id: Mapped[int] = mapped_column(sa.ForeignKey("payments.id"), index=True)
    provider: Mapped[str] = mapped_column(sa.String(20))
    dispute_ref: Mapped[str] = mapped_column(sa.String(255))
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.String(3))
    state: Mapped[str] = mapped_column(sa.String(10))
    reason: Mapped[str] = mapped_column(sa.String(80), default="")
    opened_at: Mapped[datetime]

    payment: Mapped[Payment] = relationship(back_populates="disputes")
    movements: Mapped[list["DisputeMovement"]] = relationship(
        order_by="[DisputeMovement.occurred_at, DisputeMovement.id]"
    )


class DisputeMovement(Base):
    """Money of a dispute taken or given back, named by the provider's settlement line."""

    __tablename__ = "dispute_movements"
    __table_args__ = (sa.UniqueConstraint("provider", "settlement_ref"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    dispute_id: Mapped[int] = mapped_column(sa.ForeignKey("disputes.id"), index=True)
    provider: Mapped[str] = mapped_column(sa.String(20))
    settlement_ref: Mapped[str] = mapped_column(sa.String(255))
    withdrawn: Mapped[bool]
    occurred_at: Mapped[datetime]


class ReceiptCounter(Base):
    """The last number given in a year."""

    __tablename__ = "receipt_counters"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(default=0)


class Receipt(Base):
    """Numbers of a year (in the campaign's zone) have no gap; a void one stays visible."""

    __tablename__ = "receipts"
    __table_args__ = (sa.UniqueConstraint("year", "number"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    donation_id: Mapped[int] = mapped_column(sa.ForeignKey("donations.id"), unique=True)
    year: Mapped[int]
    number: Mapped[int]
    issued_at: Mapped[datetime]
    voided_at: Mapped[datetime | None]

    donation: Mapped[Donation] = relationship(back_populates="receipt")

    @property
    def shown(self) -> str:
        return f"{self.year}-{self.number:06d}"


class LostCodesRequest(Base):
    """Somebody asked for the codes of an address to be sent there. `donor_id` is null when nobody gave it."""

    __tablename__ = "lost_codes_requests"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    donor_id: Mapped[int | None] = mapped_column(sa.ForeignKey("donors.id"))
    locale: Mapped[str] = mapped_column(sa.String(2))
    created_at: Mapped[datetime] = mapped_column(index=True)
