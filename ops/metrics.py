"""/metrics for Prometheus, counted from the database: right for any number of processes. No personal data."""

from collections.abc import Iterator

import sqlalchemy as sa
from flask import Blueprint, Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from core.clock import utcnow
from core.db import db
from core.models import OutboxMessage
from donations.models import Donation, Payment, Refund
from finance import run_state
from ledger.models import LedgerException
from staff.audit_queries import known_faults
from webhooks.models import InboxEvent

blueprint = Blueprint("metrics", __name__)


class _Database:
    """Reads all figures at the moment they are asked for."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield _by_label("campaign_donations", "Donations by status", "status", Donation.status)
        yield _by_label("campaign_payments", "Payments by state", "state", Payment.state)
        yield _by_label("campaign_refunds", "Refunds by state", "state", Refund.state)
        for name, text, condition in (
            ("campaign_inbox_waiting", "Events not applied yet", InboxEvent.next_attempt_at.is_not(None)),
            ("campaign_inbox_dead", "Events given up", InboxEvent.dead_at.is_not(None)),
            ("campaign_mail_waiting", "E-mails not sent yet", OutboxMessage.done_at.is_(None)),
            ("campaign_mail_dead", "E-mails given up", OutboxMessage.outcome == "dead"),
            ("campaign_exceptions_open", "What finance must look at", LedgerException.resolved_at.is_(None)),
        ):
            yield GaugeMetricFamily(name, text, value=_count(condition))
        oldest = db.session.scalar(
            sa.select(sa.func.min(InboxEvent.received_at)).where(InboxEvent.next_attempt_at.is_not(None))
        )
        yield GaugeMetricFamily("campaign_audit_faults", "Places where the audit log is broken", value=known_faults())
        age = (utcnow() - oldest).total_seconds() if oldest else 0
        yield GaugeMetricFamily("campaign_inbox_oldest_seconds", "Age of the oldest event not applied", value=age)
        yield from _self_check()
        yield from _reconciliation()


def _self_check() -> Iterator[GaugeMetricFamily]:
    """Nothing until the first one was finished: then an alert on a missing figure tells that none ever ran."""
    run = run_state.last("check")
    if run is None or run.finished_at is None:
        return
    age = (utcnow() - run.finished_at).total_seconds()
    yield GaugeMetricFamily("campaign_check_failures", "Checks of the books that fail", value=run.failures or 0)
    yield GaugeMetricFamily("campaign_check_age_seconds", "Age of the last self-check", value=age)


def _reconciliation() -> Iterator[GaugeMetricFamily]:
    """The same; what cannot be read at the provider is a problem of the last run, and ages until it is read again."""
    run, now = run_state.last("reconcile"), utcnow()
    waiting = sum(each.lines for each in run_state.waiting())
    yield GaugeMetricFamily("campaign_settlement_lines_waiting", "Lines of the provider not booked yet", value=waiting)
    if run is None or run.finished_at is None:
        return
    age = (now - run.finished_at).total_seconds()
    yield GaugeMetricFamily("campaign_reconciliation_age_seconds", "Age of the last reconciliation", value=age)
    problems = len(run_state.unread_in(run))
    yield GaugeMetricFamily("campaign_reconciliation_problems", "What it could not read", value=problems)
    reading = GaugeMetricFamily(
        "campaign_provider_read_seconds", "Age of the last whole reading of the provider", labels=["provider"]
    )
    for provider, read_at in sorted(run_state.last_readings().items()):
        reading.add_metric([provider], (now - read_at).total_seconds())
    yield reading


def _count(condition: sa.ColumnElement[bool]) -> int:
    return int(db.session.scalar(sa.select(sa.func.count()).where(condition)) or 0)


def _by_label(name: str, text: str, label: str, column: sa.orm.InstrumentedAttribute[str]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in db.session.execute(sa.select(column, sa.func.count()).group_by(column)):
        family.add_metric([value], number)
    return family


@blueprint.get("/metrics")
def metrics() -> Response:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Database())
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
