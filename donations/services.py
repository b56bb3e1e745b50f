"""Giving: from what a donor asks for to the provider's page, and another try when that failed.

The way of a gift: a pending donation and its payment are committed, then the provider is asked with no transaction
open and an idempotency key made from our row, then its answer is stored. Each step can be repeated after a crash.
"""

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email
from sqlalchemy.exc import IntegrityError

from core.db import db, rows_changed, unit_of_work
from core.i18n import DEFAULT_LOCALE, LOCALES, format_money
from core.money import MAX_MINOR, Money
from donations import errors, queries
from donations.models import Campaign, Donation, Donor, Payment
from donations.state import apply_payment_fact, lock_donation, lock_payment, settle
from offices.queries import attributed_code, hold_for_gift
from payments.base import (
    Checkout,
    CheckoutRequest,
    PaymentFact,
    PaymentProvider,
    PaymentState,
    ProviderDown,
    ProviderRefused,
)
from payments.registry import default_provider, get_provider

CHECKOUT_LIFETIME = timedelta(hours=2)
# Stripe refuses sessions that end within 30 minutes: later than this a forgotten checkout is not created any more.
CHECKOUT_RESUMABLE = timedelta(minutes=80)
FIRST_ASK = timedelta(seconds=45)
PATIENCE = timedelta(seconds=5)  # the provider is asked for one payment at most this often by waiting people
NAME_LIMIT = 120
MAX_ATTEMPTS = 20  # of one donation: enough for a person, few for somebody who tests stolen cards

_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # controls, line and paragraph separators, unassigned
_JOINERS = "\u200c\u200d"  # invisible, but part of how some names are written


@dataclass(frozen=True, slots=True)
class Gift:
    """What somebody wants to give. `amount_minor` is in minor units of `currency`, as it was asked for, unchecked."""

    campaign: str
    amount_minor: int
    currency: str
    channel: str
    caller: str = ""  # whose idempotency keys these are
    locale: str | None = None
    name: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    anonymous: bool = False
    placement: str | None = None  # code of the link that led here, as it was handed over

    @property
    def scope(self) -> str:
        """Within which a key is unique: the way that the gift came, and who sent it."""
        return f"{self.channel}:{self.caller}" if self.caller else self.channel

    def fingerprint(self) -> str:
        values = [self.campaign, self.amount_minor, self.currency, self.locale, self.name, self.email]
        text = json.dumps([*values, self.anonymous, self.placement], ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the donor comes back to and the provider reports to; `status` contains `{token}`."""

    status: str
    notification: str


def start_donation(gift: Gift, key: str, now: datetime) -> Donation:
    """Record a pending donation with its first payment, or find the one that this key made before.

    `key` is unique for each channel and caller. Raises the errors of `donations.errors` and stores nothing then;
    `KeyReused` when the key came with another gift. Commits.
    """
    if not _KEY.fullmatch(key):
        raise errors.KeyInvalid(field="Idempotency-Key")
    donation = queries.donation_by_key(gift.scope, key)
    if donation is None:
        donation = _record(gift, key, now)
    if donation.request_hash != gift.fingerprint():
        raise errors.KeyReused(field="Idempotency-Key")
    return donation


def _record(gift: Gift, key: str, now: datetime) -> Donation:
    campaign = _open_campaign(gift.campaign, now)
    amount = check_amount(campaign, gift.amount_minor, gift.currency)
    name, email = _checked_name(gift.name), _checked_email(gift.email)
    donation = Donation(
        campaign_id=campaign.id,
        donor=Donor(name=name, email=email, created_at=now) if name or email else None,
        anonymous=gift.anonymous,
        amount_minor=amount.minor,
        currency=amount.currency,
        locale=gift.locale if gift.locale in LOCALES else DEFAULT_LOCALE,
        channel=gift.channel,
        placement=attributed_code(gift.placement),
        created_at=now,
        idempotency_scope=gift.scope,
        idempotency_key=key,
        request_hash=gift.fingerprint(),
        payments=[_new_payment(amount, default_provider().name, now)],
    )
    try:
        with unit_of_work() as session:
            if donation.placement:
                hold_for_gift(donation.placement)
            session.add(donation)
    except IntegrityError:
        # The same key in the same moment: whoever was first has recorded it.
        if first := queries.donation_by_key(gift.scope, key):
            return first
        raise
    return donation


def _new_payment(amount: Money, provider: str, now: datetime) -> Payment:
    return Payment(
        provider=provider,
        amount_minor=amount.minor,
        currency=amount.currency,
        created_at=now,
        expires_at=now + CHECKOUT_LIFETIME,
        next_ask_at=now + FIRST_ASK,
    )


def _open_campaign(slug: str, now: datetime) -> Campaign:
    campaign = queries.campaign_by_slug(slug)
    require_open(campaign, now)
    return campaign


def require_open(campaign: Campaign, now: datetime) -> None:
    """Raises `CampaignNotOpen` before the campaign begins and `CampaignClosed` once it is over."""
    if campaign.opens_at and now < campaign.opens_at:
        raise errors.CampaignNotOpen
    if campaign.closes_at and now >= campaign.closes_at:
        raise errors.CampaignClosed


def check_amount(campaign: Campaign, minor: int, currency: str) -> Money:
    """The amount as money. Raises when it is not within the campaign's limits and in its currency."""
    if currency != campaign.currency:
        raise errors.CurrencyNotAccepted(field="currency", currency=campaign.currency)
    if minor <= 0:
        raise errors.AmountInvalid(field="amount")
    if minor < campaign.min_minor:
        raise errors.AmountTooSmall(field="amount", limit=format_money(campaign.money(campaign.min_minor)))
    if minor > min(campaign.max_minor, MAX_MINOR):
        raise errors.AmountTooLarge(field="amount", limit=format_money(campaign.money(campaign.max_minor)))
    return Money(minor, currency)


def _checked_name(name: str | None) -> str | None:
    if name is None or not name.strip():
        return None
    clean = " ".join(unicodedata.normalize("NFC", name).split(" ")).strip()
    strange = any(unicodedata.category(char) in _UNSEEN and char not in _JOINERS for char in clean)
    if len(clean) > NAME_LIMIT or strange or "<" in clean or ">" in clean:
        raise errors.NameInvalid(field="name", limit=NAME_LIMIT)
    return clean


def _checked_email(email: str | None) -> str | None:
    if email is None or not email.strip():
        return None
    try:
        # Whether the domain takes mail is not asked: no donor waits for a name server.
        return str(validate_email(email.strip(), check_deliverability=False, strict=True).normalized)
    except EmailNotValidError:
        raise errors.EmailInvalid(field="email") from None


def ensure_checkout(donation: Donation, addresses: Addresses, now: datetime) -> str | None:
    """The address of the provider's page for a donation that is not paid yet; None when there is nothing to pay.

    Resumes where an earlier call stopped: the same payment asks the provider for the same checkout. Raises
    `ProviderDown` (ask again later) or `ProviderRefused` (this attempt failed). Call with no unit of work open.
    """
    payment = donation.payments[-1]
    if donation.status != "pending" or payment.state != "created":
        return None
    if payment.checkout_url:
        return payment.checkout_url
    if now >= payment.created_at + CHECKOUT_RESUMABLE:
        give_up_unopened(payment.id, now)
        payment = _next_attempt(donation.id, now)
    return _open_checkout(donation, payment, addresses, now)


def _open_checkout(donation: Donation, payment: Payment, addresses: Addresses, now: datetime) -> str | None:
    request = _checkout_request(donation, payment, addresses)
    provider, payment_id = get_provider(payment.provider), payment.id
    db.session.rollback()
    try:
        checkout = provider.create_checkout(request)
    except (ProviderDown, ProviderRefused) as refusal:
        # Somebody else may have asked in the same moment, and been answered.
        if url := _stored_url(payment_id):
            return url
        if isinstance(refusal, ProviderRefused):
            fail_attempt(payment_id, f"refused_{refusal.reason}"[:80], now)
        raise
    with unit_of_work() as session:
        session.execute(
            sa.update(Payment)
            .where(Payment.id == payment_id)
            .values(
                checkout_url=checkout.url,
                checkout_ref=checkout.checkout_ref,
            )
        )
        apply_payment_fact(provider.name, replace(checkout.fact, our_ref=request.our_ref), now)
    return checkout.url


def _stored_url(payment_id: int) -> str | None:
    url = db.session.scalar(sa.select(Payment.checkout_url).where(Payment.id == payment_id))
    db.session.rollback()
    return url


def _checkout_request(donation: Donation, payment: Payment, addresses: Addresses) -> CheckoutRequest:
    campaign, locale = donation.campaign, donation.locale
    status_url = addresses.status.replace("{token}", donation.token)
    return CheckoutRequest(
        our_ref=payment.public_id,
        donation_ref=donation.public_id,
        campaign=campaign.slug,
        amount=payment.amount,
        product=campaign.title.in_locale(locale),
        description=campaign.designation.in_locale(locale),
        locale=locale,
        success_url=status_url,
        cancel_url=f"{status_url}?back=1",
        notification_url=addresses.notification.replace("{provider}", payment.provider),
        expires_at=payment.expires_at,
        email=donation.donor.email if donation.donor else None,
    )


def fail_attempt(payment_id: int, failure_code: str, now: datetime) -> None:
    """End an attempt that the provider never took up; a success that it reports later still counts. Commits.

    One whose page was opened meanwhile is left alone: it ends when the provider says so.
    """
    with unit_of_work() as session:
        payment = lock_payment(session.get_one(Payment, payment_id))
        if payment.checkout_ref is not None:
            return
        fact = PaymentFact(
            PaymentState.FAILED, None, occurred_at=now, our_ref=payment.public_id, failure_code=failure_code
        )
        apply_payment_fact(payment.provider, fact, now)


def give_up_unopened(payment_id: int, now: datetime) -> None:
    """End an attempt whose checkout was never opened: nobody was sent there, so nobody can have paid."""
    fail_attempt(payment_id, "checkout_not_opened", now)


def pay_again(donation_id: int, addresses: Addresses, now: datetime) -> str | None:
    """Another try: closes the old page first, and when that one turns out to be paid, it is the payment.

    Answers the address of the new page, or None when no payment is needed (any more). Raises `NotPayable`,
    `TooMany` after `MAX_ATTEMPTS`, and what `ensure_checkout` raises. Call with no unit of work open.
    """
    donation = db.session.get_one(Donation, donation_id)
    if donation.status not in ("pending", "failed", "expired"):
        raise errors.NotPayable
    require_open(donation.campaign, now)
    if len(donation.payments) >= MAX_ATTEMPTS:
        raise errors.TooManyStarts
    payment = donation.payments[-1]
    if payment.state == "created" and payment.checkout_ref:
        _close_old_page(payment, now)
    donation = db.session.get_one(Donation, donation_id)
    if donation.status not in ("pending", "failed", "expired"):
        return None
    if donation.payments[-1].state != "created":
        _next_attempt(donation_id, now)
        donation = db.session.get_one(Donation, donation_id)
    return ensure_checkout(donation, addresses, now)


def _close_old_page(payment: Payment, now: datetime) -> None:
    provider, checkout_ref, our_ref = get_provider(payment.provider), payment.checkout_ref, payment.public_id
    db.session.rollback()
    checkout = provider.expire_checkout(str(checkout_ref))
    apply_checkout(provider, checkout, our_ref, now)


def apply_checkout(provider: PaymentProvider, checkout: Checkout, our_ref: str, now: datetime) -> None:
    """Take over what the provider says of a checkout: the same function for page, sweep and retry. Commits."""
    with unit_of_work():
        apply_payment_fact(provider.name, replace(checkout.fact, our_ref=our_ref), now)


def _next_attempt(donation_id: int, now: datetime) -> Payment:
    """A new payment for a donation whose earlier ones ended; two requests at once share one. Commits."""
    with unit_of_work():
        donation = lock_donation(donation_id)
        payment = donation.payments[-1]
        if payment.state in ("failed", "expired"):
            payment = _new_payment(donation.amount, default_provider().name, now)
            donation.payments.append(payment)
            settle(donation, now)
        return payment


def ask_provider(payment_id: int, now: datetime, *, timeout: float | None = None) -> bool:
    """Ask how an open payment stands and take the answer over; False when it was asked moments ago or has ended.

    `timeout` in seconds, for a person who waits. Raises `ProviderDown`, `ProviderRefused`. No unit of work open.
    """
    with unit_of_work() as session:
        claimed = session.execute(
            sa.update(Payment)
            .where(
                Payment.id == payment_id,
                Payment.state.in_(("created", "processing")),
                Payment.review.is_(None),
                Payment.checkout_ref.is_not(None),
                sa.or_(Payment.asked_at.is_(None), Payment.asked_at <= now - PATIENCE),
            )
            .values(asked_at=now)
        )
        if rows_changed(claimed) != 1:
            return False
        payment = session.get_one(Payment, payment_id)
        provider, checkout_ref, our_ref = get_provider(payment.provider), payment.checkout_ref, payment.public_id
    checkout = provider.read_checkout(str(checkout_ref), timeout=timeout)
    apply_checkout(provider, checkout, our_ref, now)
    return True
