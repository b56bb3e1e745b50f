"""Background work of the inbox."""

import logging
from datetime import datetime, timedelta

import sqlalchemy as sa

from core.clock import utcnow
from core.db import db, insert_if_absent, unit_of_work
from core.jobs import every, job
from donations.state import payment_identified
from payments.base import PaymentProvider, ProviderDown, ProviderRefused
from payments.registry import all_providers
from webhooks import services
from webhooks.models import CatchUp

log = logging.getLogger(__name__)

LONGEST_LOOK_BACK = timedelta(days=29)  # Stripe keeps events for 30 days
OVERLAP = timedelta(minutes=10)


@job
def apply_event(event_id: int) -> None:
    now = utcnow()
    if services.claim(event_id, now):
        services.apply_held(event_id, now)


@job
def wake_waiting(provider: str, payment_ref: str) -> None:
    for event_id in services.wake(provider, payment_ref, utcnow()):
        apply_event.function(event_id)


@every(seconds=5)
def sweep_inbox() -> None:
    services.apply_due(utcnow())


@every(seconds=300)
def catch_up() -> None:
    """Fetch the events that never reached us from each provider that keeps a list of them."""
    for provider in all_providers():
        try:
            catch_up_with(provider, utcnow())
        except (ProviderDown, ProviderRefused) as error:
            log.warning("catching up with %s did not work: %s", provider.name, error.code)


def catch_up_with(provider: PaymentProvider, now: datetime) -> int:
    """Store and apply what the provider lists since the last complete look; how many events were new."""
    done = db.session.scalar(sa.select(CatchUp.through).where(CatchUp.provider == provider.name))
    db.session.rollback()
    since = max(done - OVERLAP, now - LONGEST_LOOK_BACK) if done else now - LONGEST_LOOK_BACK
    new = 0
    for event in provider.list_events(since):
        event_id = services.store_event(event, now)
        if event_id is not None:
            services.apply_held(event_id, now)
            new += 1
    with unit_of_work() as session:
        if not insert_if_absent(CatchUp, provider=provider.name, through=now):
            session.execute(sa.update(CatchUp).where(CatchUp.provider == provider.name).values(through=now))
    return new


def _enqueue_wake(_sender: object, *, provider: str, payment_ref: str) -> None:
    wake_waiting.enqueue(provider, payment_ref)


payment_identified.connect(_enqueue_wake)
