"""Console pages of months: which are closed, what they came to, closing and reopening; what a sponsor owes."""

from collections.abc import Mapping

from flask import Blueprint, Flask, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.clock import local_day, utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.ids import new_public_id
from core.money import Money
from finance import closing, disbursements, funds, names, open_matters, refunds, sponsor
from finance.exception_details import why_unread
from finance.exception_kinds import kind_of
from finance.forms import past_day, read_amount, read_bank_amount, read_key, read_text
from finance.suspense import suspense
from ledger import periods
from ledger.models import Fund
from staff import frame
from staff.access import Actor, acting, allowed

blueprint = Blueprint("periods", __name__, template_folder="templates")
blueprint.context_processor(names.in_templates)


@blueprint.get("/staff/months")
@allowed("finance", "admin")
def list_page() -> str:
    return _list_page()


def _list_page(refusal: DomainError | None = None) -> str:
    next_month, last = periods.next_to_close(), periods.last_closed()
    over = next_month is not None and next_month.ends_at <= utcnow()
    return render_template(
        "finance/months.html",
        closings=closing.closings(),
        next_month=next_month,
        over=over,
        held=suspense(next_month.ends_at) if next_month else None,
        matters=open_matters.open_of(next_month) if next_month and over else None,
        kind_of=kind_of,
        why_unread=why_unread,
        last=last,
        may_reopen=acting().has("admin"),
        refusal=refusal,
        typed=request.form,
        page_path=url_for(".list_page"),
    )


@blueprint.get("/staff/months/<month>")
@allowed("finance", "admin")
def sheet_page(month: str) -> str:
    """What a closed month came to, and what came too late for it."""
    period = closing.closing_of(closing.read_month(month))
    return render_template(
        "finance/month.html",
        period=period,
        sheet=period.sheet,
        late=closing.late_entries(month),
        money=Money,
        kind_of=kind_of,
    )


@blueprint.post("/staff/months/close")
@allowed("finance", "admin")
def close() -> ResponseReturnValue:
    actor = acting()
    try:
        with unit_of_work():
            month = closing.read_month(request.form.get("month", ""))
            reason = request.form.get("why", "")
            closing.close_month(month, actor=actor.email, address=actor.address, now=utcnow(), reason=reason)
    except DomainError as refusal:
        db.session.expire_all()
        return _list_page(refusal), refusal.status
    flash(_("%(month)s is closed.", month=month), "good")
    return redirect(url_for(".sheet_page", month=month), code=303)


@blueprint.post("/staff/months/<month>/reopen")
@allowed("admin")
def reopen(month: str) -> ResponseReturnValue:
    actor, reason = acting(), request.form.get("reason", "")
    try:
        with unit_of_work():
            wanted = closing.read_month(month)
            closing.reopen_month(wanted, reason, actor=actor.email, address=actor.address, now=utcnow())
    except DomainError as refusal:
        db.session.expire_all()
        return _list_page(refusal), refusal.status
    flash(_("%(month)s is open again.", month=month), "good")
    return redirect(url_for(".list_page"), code=303)


@blueprint.get("/staff/sponsor")
@allowed("finance", "admin")
def sponsor_page() -> str:
    return _sponsor_page()


def _sponsor_page(refusal: DomainError | None = None) -> str:
    """Each debt with its months and a form of its own; what was typed stays in the form that was refused."""
    debts = sponsor.debts()
    only = debts[0].fund.code if len(debts) == 1 else None
    return render_template(
        "finance/sponsor.html",
        debts=[(debt, sponsor.by_month(debt.fund)) for debt in debts],
        keys={debt.fund.code: new_public_id() for debt in debts},
        refused_fund=request.form.get("fund") or only,
        payments=sponsor.payments(),
        today=local_day(utcnow(), periods.ZONE),
        as_of=utcnow(),
        typed=request.form,
        refusal=refusal,
        page_path=url_for(".sponsor_page"),
    )


@blueprint.post("/staff/sponsor")
@allowed("finance", "admin")
def sponsor_paid() -> ResponseReturnValue:
    typed, now = request.form, utcnow()
    try:
        fund = _sponsored_fund(typed)
        paid_on = past_day(typed.get("paid_on", ""), "paid_on", now)
        amount = read_amount(typed.get("amount", ""), fund.currency, "amount")
        bank = read_bank_amount(typed.get("bank_amount", ""), typed.get("bank_currency", ""), amount)
        document = read_text(typed.get("document", ""), "document", limit=120)
        key = read_key(typed.get("key", ""))
        with unit_of_work():
            knows = typed.get("knows") == "yes"
            sponsor.record_payment(fund, paid_on, amount, bank, document, key, acting(), now, knows=knows)
    except DomainError as refusal:
        return _sponsor_page(refusal), refusal.status
    flash(_("The payment is booked."), "good")
    return redirect(url_for(".sponsor_page", _anchor=fund.code), code=303)


def _sponsored_fund(typed: Mapping[str, str]) -> Fund:
    """The fund that the form is of; where only one has a sponsor, that one. Raises `UnknownFund`."""
    known = [debt.fund for debt in sponsor.debts()]
    fund = funds.asked_for(typed, known) or (known[0] if len(known) == 1 else None)
    if fund is None:
        raise funds.UnknownFund(field="fund")
    return fund


@blueprint.post("/staff/sponsor/<public_id>/take-back")
@allowed("finance", "admin")
def take_back(public_id: str) -> ResponseReturnValue:
    try:
        with unit_of_work():
            sponsor.take_back(sponsor.find(public_id), acting(), utcnow())
    except DomainError as refusal:
        db.session.expire_all()
        return _sponsor_page(refusal), refusal.status
    return redirect(url_for(".sponsor_page"), code=303)


def _card(actor: Actor) -> str:
    """What waits for this member: decisions of a second person, a month that is over."""
    waiting = [each for each in disbursements.newest(20) if each.state == "proposed"]
    next_month = periods.next_to_close()
    return render_template(
        "finance/_decisions_card.html",
        spending=[each for each in waiting if each.proposed_by_id != actor.id],
        orders=[each for each in refunds.waiting() if each.proposed_by_id != actor.id],
        month=next_month if next_month and next_month.ends_at <= utcnow() else None,
    )


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_entry(app, "periods.list_page", _l("Months"), icon="clock", order=46)
    frame.add_card(app, _card, "finance", "admin", order=3)
