"""Console pages of the queue: what does not agree, why it probably is so, and the acts that resolve it."""

import io
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Flask, Response, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.cells import write_table
from core.clock import local_day, utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.i18n import format_money
from core.money import Money
from donations.models import Donation
from finance import corrections, errors, exception_details, exceptions, names, run_state, runs, stray_refunds
from finance.exception_kinds import AGAIN, CHECK, KINDS, kind_of
from finance.exceptions import Wanted
from finance.filters import DayInvalid
from finance.forms import read_day, read_text, start_of
from ledger import periods
from ledger.models import Fund, LedgerException
from staff import audit, frame
from staff.access import Actor, acting, allowed

blueprint = Blueprint("exceptions", __name__, template_folder="templates")
blueprint.context_processor(names.in_templates)

SHOWN = 200
AGES = (1, 7, 30)
CSV_COLUMNS = (
    "kind",
    "source_type",
    "source_id",
    "amount",
    "currency",
    "donation",
    "since",
    "opened_at",
    "resolved_at",
    "resolved_by",
    "resolution",
)
LONGEST_REASON = 160
OLDEST = date(2011, 1, 1)  # no provider of ours is older


@blueprint.get("/staff/exceptions")
@allowed("finance", "admin")
def overview() -> str:
    now, wanted = utcnow(), _wanted()
    found = list(db.session.scalars(exceptions.listed(wanted, now).limit(SHOWN + 1)))
    return render_template(
        "finance/exceptions.html",
        found=found[:SHOWN],
        more=len(found) > SHOWN,
        counts=exceptions.counts(),
        wanted=wanted,
        ages=AGES,
        kinds=KINDS,
        kind_of=kind_of,
        amount=amount_of,
        now=now,
        **_how_it_is_compared(now),
    )


def _how_it_is_compared(now: datetime) -> dict[str, Any]:
    """What says how far "nothing is open" can be believed."""
    kinds = run_state.KINDS
    return {
        "check": run_state.last("check"),
        "reconciled": run_state.last("reconcile"),
        "running": {kind: run_state.under_way(kind, now) for kind in kinds},
        "lying": {kind: run_state.left_lying(kind, now) for kind in kinds},
        "late": {kind: since for kind in kinds if (since := run_state.late_since(kind, now))},
        "unread": run_state.unread(),
        "readings": run_state.last_readings(),
        "waiting": run_state.waiting(),
        "check_name": exception_details.check_name,
        "why_unread": exception_details.why_unread,
    }


def _wanted() -> Wanted:
    """What the address asks for; what it does not know it leaves out."""
    kind, older = request.args.get("kind", ""), request.args.get("older", "")
    return Wanted(
        kind=kind if kind in KINDS else "",
        older=int(older) if older.isdecimal() and int(older) in AGES else 0,
        closed=request.args.get("state") == "closed",
        until=_month(request.args.get("until", "")),
    )


def _month(text: str) -> periods.Month | None:
    try:
        return periods.Month.read(text)
    except ValueError:
        return None


def amount_of(row: LedgerException) -> Money | None:
    return None if row.amount_minor is None or row.currency is None else Money(row.amount_minor, row.currency)


@blueprint.get("/staff/exceptions.csv")
@allowed("finance", "admin")
def as_csv() -> Response:
    """All rows of the page's filters, also those the page leaves out."""
    text = io.StringIO(newline="")
    numbers = sa.select(Donation.id, Donation.public_id).join(
        LedgerException, LedgerException.donation_id == Donation.id
    )
    gifts = {row[0]: row[1] for row in db.session.execute(numbers)}
    rows = db.session.scalars(exceptions.listed(_wanted(), utcnow()))
    write_table(text, CSV_COLUMNS, (_cells(row, gifts) for row in rows))
    headers = {"Content-Disposition": 'attachment; filename="exceptions.csv"'}
    return Response("\ufeff" + text.getvalue(), mimetype="text/csv", headers=headers)


def _cells(row: LedgerException, gifts: dict[int, str]) -> list[Any]:
    amount, closed = amount_of(row), row.resolved_at
    return [
        row.kind,
        row.source_type,
        row.source_id,
        amount.major if amount else None,
        row.currency,
        gifts.get(row.donation_id or 0),
        row.since.isoformat(timespec="seconds"),
        row.opened_at.isoformat(timespec="seconds"),
        closed.isoformat(timespec="seconds") if closed else None,
        row.resolved_by,
        row.resolution,
    ]


@blueprint.post("/staff/exceptions/run")
@allowed("finance", "admin")
def run() -> ResponseReturnValue:
    """Fetch and compare again, or check the books; a worker does it."""
    kind = request.form.get("kind", "reconcile")
    _ask(kind if kind in run_state.KINDS else "reconcile")
    return redirect(url_for(".overview"), code=303)


def _ask(kind: str, read_from: datetime | None = None) -> None:
    actor, now = acting(), utcnow()
    with unit_of_work():
        asked = runs.ask(kind, actor.email, now, read_from)
        after = {"since": read_from.isoformat()} if read_from else None
        audit.record(actor.email, f"{kind}.asked", f"run:{asked.id}", after=after, now=now, address=actor.address)
    flash(_("It is being done. Look again in a minute."), "good")


@blueprint.post("/staff/exceptions/<int:number>/again")
@allowed("finance", "admin")
def again(number: int) -> ResponseReturnValue:
    """Fetch and compare, from a day on that is named; or check the books, where that is what resolves it."""
    row, day = exceptions.find(number), request.form.get("since", "").strip()
    try:
        read_from = start_of(_day_to_read_from(day)) if day else None
    except DomainError as refusal:
        return _page(row, refusal), refusal.status
    _ask("check" if CHECK in kind_of(row.kind).acts else "reconcile", read_from)
    return redirect(url_for(".show", number=number), code=303)


def _day_to_read_from(text: str) -> date:
    """Raises `DayInvalid`, `DayToCome`."""
    day = read_day(text, "since")
    if day > local_day(utcnow(), periods.ZONE):
        raise errors.DayToCome(field="since")
    if day < OLDEST:
        raise DayInvalid(field="since")
    return day


@blueprint.get("/staff/exceptions/<int:number>")
@allowed("finance", "admin")
def show(number: int) -> str:
    return _page(exceptions.find(number))


def _page(row: LedgerException, refusal: DomainError | None = None) -> str:
    now = utcnow()
    donation = db.session.get(Donation, row.donation_id) if row.donation_id else None
    return render_template(
        "finance/exception.html",
        row=row,
        kind=kind_of(row.kind),
        amount=amount_of(row),
        told=lambda minor: format_money(Money(minor, row.details["currency"])),
        now=now,
        about=exception_details.about(row),
        details=exception_details.details(row),
        references=exception_details.references(row),
        again_from=_again_from(row),
        running=run_state.under_way("check" if CHECK in kind_of(row.kind).acts else "reconcile", now),
        acts=exceptions.acts_of(row),
        correction=corrections.act_of(row),
        explained=exceptions.is_explained(row),
        entries_first=exceptions.open_of_entries() if row.kind == "summary_differs" else 0,
        refund=stray_refunds.of_exception(row),
        refused=stray_refunds.refused_of(row),
        donation=donation,
        where=_where(row),
        funds=[(fund.code, str(fund.name)) for fund in db.session.scalars(sa.select(Fund).order_by(Fund.code))],
        typed=request.form,
        refusal=refusal,
        me=acting().email,
        page_path=url_for(".show", number=row.id),
    )


def _again_from(row: LedgerException) -> date | None:
    """The day from which the provider has to be read again for this; None when it is read by itself."""
    earliest = run_state.read_by_itself_from()
    if AGAIN not in kind_of(row.kind).acts or earliest is None or row.since >= earliest:
        return None
    return max(local_day(row.since, periods.ZONE), OLDEST)


def _where(row: LedgerException) -> tuple[str, Any] | None:
    """The page on which a person goes on, and what the link says."""
    match row.source_type:
        case "bank_line":
            return url_for("bank.line_page", public_id=row.source_id), _("See the bank's line")
        case "disbursement":
            return url_for("spending.spending_page", public_id=row.source_id), _("See the payment")
        case "payout":
            return url_for("bank.overview"), _("See the bank's lines")
    return None


def _act(number: int, done: str, act: Callable[[LedgerException, str, Actor], object]) -> ResponseReturnValue:
    """Do something about it for the reason typed, and show how it stands."""
    actor = acting()
    try:
        reason = read_text(request.form.get("reason", ""), "reason", limit=LONGEST_REASON)
        with unit_of_work():
            act(exceptions.find(number), reason, actor)
    except DomainError as refusal:
        db.session.expire_all()
        return _page(exceptions.find(number), refusal), refusal.status
    flash(done, "good")
    return redirect(url_for(".show", number=number), code=303)


@blueprint.post("/staff/exceptions/<int:number>/explain")
@allowed("finance", "admin")
def explain(number: int) -> ResponseReturnValue:
    now = utcnow()
    return _act(number, _("It is explained."), lambda row, why, actor: exceptions.explain(row, why, actor, now))


@blueprint.post("/staff/exceptions/<int:number>/reopen")
@allowed("finance", "admin")
def reopen(number: int) -> ResponseReturnValue:
    now = utcnow()
    return _act(number, _("It is open again."), lambda row, why, actor: exceptions.reopen(row, why, actor, now))


@blueprint.post("/staff/exceptions/<int:number>/aside")
@allowed("finance", "admin")
def aside(number: int) -> ResponseReturnValue:
    done, now = _("The line stands in suspense: outside every fund, until somebody knows better."), utcnow()
    return _act(number, done, lambda row, why, actor: exceptions.put_aside(row, why, actor, now))


@blueprint.post("/staff/exceptions/<int:number>/fee")
@allowed("finance", "admin")
def fee(number: int) -> ResponseReturnValue:
    now, code = utcnow(), request.form.get("fund", "")

    def charge(row: LedgerException, why: str, actor: Actor) -> None:
        fund = db.session.scalar(sa.select(Fund).where(Fund.code == code))
        if fund is None:
            raise errors.FundUnknown(field="fund")
        exceptions.charge_to_fund(row, fund, why, actor, now)

    return _act(number, _("It is charged to the fund's fees."), charge)


@blueprint.post("/staff/exceptions/<int:number>/correct")
@allowed("finance", "admin")
def correct(number: int) -> ResponseReturnValue:
    """Make the books say what happened, by entries only."""
    done, now = _("The books are corrected. The next comparison shows whether everything agrees."), utcnow()
    return _act(number, done, lambda row, why, actor: corrections.correct(row, why, actor, now))


@blueprint.post("/staff/exceptions/<int:number>/link")
@allowed("finance", "admin")
def link(number: int) -> ResponseReturnValue:
    now, gift = utcnow(), request.form.get("donation", "").strip().rstrip("/").rpartition("/")[2]
    done = _("The payment belongs to the donation now.")
    return _act(number, done, lambda row, why, actor: exceptions.link_to_donation(row, gift, why, actor, now))


@blueprint.post("/staff/exceptions/<int:number>/refund")
@allowed("finance", "admin")
def refund(number: int) -> ResponseReturnValue:
    now, limit = utcnow(), current_app.config["REFUND_ALONE_UP_TO"]
    return _act(
        number,
        _("The refund is ordered. Above the limit somebody else has to approve it."),
        lambda row, why, actor: stray_refunds.order(row, why, actor, alone_up_to=limit, now=now),
    )


@blueprint.post("/staff/exceptions/<int:number>/approve")
@allowed("finance", "admin")
def approve(number: int) -> ResponseReturnValue:
    try:
        with unit_of_work():
            order = stray_refunds.of_exception(exceptions.find(number))
            if order is None:
                raise errors.Resolved
            stray_refunds.approve(order, acting(), utcnow())
    except DomainError as refusal:
        db.session.expire_all()
        return _page(exceptions.find(number), refusal), refusal.status
    flash(_("The provider is being asked for the refund."), "good")
    return redirect(url_for(".show", number=number), code=303)


@blueprint.post("/staff/exceptions/<int:number>/retry")
@allowed("finance", "admin")
def retry(number: int) -> ResponseReturnValue:
    row, actor, now = exceptions.find(number), acting(), utcnow()
    kind, source_id = row.kind, row.source_id
    worked = exceptions.retry(kind, source_id, now)
    with unit_of_work():
        subject = f"exception:{kind}:{source_id}"
        audit.record(
            actor.email, "exception.retried", subject, after={"worked": worked}, now=now, address=actor.address
        )
    flash(
        _("It worked.") if worked else _("It did not work; it is tried again by itself."), "good" if worked else "bad"
    )
    return redirect(url_for(".show", number=number), code=303)


def _card(_actor: Actor) -> str:
    """What finance must look at, and loudly what fails: the self-check, reading the provider, the nightly runs."""
    counts, state = exceptions.counts(), _how_it_is_compared(utcnow())
    failing = state["check"] is not None and state["check"].failures
    if not (counts or failing or state["unread"] or state["late"]):
        return ""
    return render_template("finance/_exceptions_card.html", counts=counts, kind_of=kind_of, zone=periods.ZONE, **state)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_entry(app, "exceptions.overview", _l("Does it agree?"), icon="search", order=48)
    frame.add_card(app, _card, "finance", "admin", order=0)
