"""Console pages of money spent on programmes: proposals, what a second person decides, files that prove it."""

from collections.abc import Callable
from contextlib import closing

import sqlalchemy as sa
from flask import Blueprint, Flask, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.clock import local_day, utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.http import takes_upload
from core.ids import new_public_id
from finance import attachments, disbursements, errors, funds, names
from finance.attachments import Attachment
from finance.disbursements import Spending
from finance.forms import past_day, read_amount, read_bank_amount, read_count, read_key, read_text
from ledger import periods
from ledger.models import Disbursement
from ledger.queries import fund_totals, specialists_trained
from staff import frame
from staff.access import Actor, acting, allowed
from staff.models import StaffMember

blueprint = Blueprint("spending", __name__, template_folder="templates")
blueprint.context_processor(names.in_templates)

LONGEST_NOTE = 1000
UPLOAD_MEGABYTES = 6 * attachments.MOST_MEGABYTES  # so that a scan that is too large is told so at its field


@blueprint.get("/staff/spending")
@allowed("finance", "admin")
def list_page() -> str:
    """What was spent and what waits, with what is available."""
    return render_template(
        "finance/spending.html",
        rows=disbursements.newest(),
        funds=[(fund, totals, specialists_trained(fund)) for fund, totals in funds.with_totals()],
        as_of=utcnow(),
    )


@blueprint.get("/staff/spending/new")
@allowed("finance", "admin")
def new_page() -> str:
    return _new_page()


def _new_page(refusal: DomainError | None = None, attachment: Attachment | None = None) -> str:
    known = funds.with_totals()
    fund, totals = funds.to_spend_from(request.values, known)
    return render_template(
        "finance/new_spending.html",
        fund=fund,
        available=totals.money(totals.available),
        others=[(each, its.money(its.available)) for each, its in known if each is not fund],
        typed=request.form,
        today=local_day(utcnow(), periods.ZONE),
        key=request.form.get("key") or new_public_id(),
        attachment=attachment,
        megabytes=attachments.MOST_MEGABYTES,
        refusal=refusal,
        page_path=url_for(".new_page"),
    )


@blueprint.post("/staff/spending/new")
@allowed("finance", "admin")
@takes_upload(UPLOAD_MEGABYTES)
def propose() -> ResponseReturnValue:
    attachment = None
    try:
        attachment = _attachment()
        fund, _totals = funds.to_spend_from(request.form, funds.with_totals())
        spending, key = _spending(attachment, fund.currency), read_key(request.form.get("key", ""))
        with unit_of_work():
            made = disbursements.propose(fund, spending, key, acting(), utcnow())
    except DomainError as refusal:
        return _new_page(refusal, attachment), refusal.status
    flash(_("Somebody else has to approve this payment now."), "good")
    return redirect(url_for(".spending_page", public_id=made.public_id), code=303)


def _attachment() -> Attachment | None:
    """The file sent now, or the one that an earlier try of this form left. Raises what `attachments.keep` raises."""
    file = request.files.get("attachment")
    if file is not None and file.filename:
        with closing(file):
            return attachments.keep(file.stream.read(attachments.MOST_MEGABYTES * 1024 * 1024 + 1), file.filename)
    return attachments.kept_before(request.form.get("kept", ""), request.form.get("kept_name", ""))


def _spending(attachment: Attachment | None, currency: str) -> Spending:
    """What the form says. Raises a refusal that names the field."""
    typed = request.form
    amount = read_amount(typed.get("amount", ""), currency, "amount")
    return Spending(
        spent_on=past_day(typed.get("spent_on", ""), "spent_on", utcnow()),
        amount=amount,
        bank=read_bank_amount(typed.get("bank_amount", ""), typed.get("bank_currency", ""), amount),
        beneficiary=read_text(typed.get("beneficiary", ""), "beneficiary", limit=200),
        document=read_text(typed.get("document", ""), "document", limit=120),
        specialists=read_count(typed.get("specialists", ""), "specialists", limit=disbursements.MOST_SPECIALISTS),
        note=read_text(typed.get("note", ""), "note", limit=LONGEST_NOTE, needed=False),
        attachment=attachment,
    )


@blueprint.get("/staff/spending/<public_id>")
@allowed("finance", "admin")
def spending_page(public_id: str) -> str:
    return _spending_page(disbursements.find(public_id))


def _spending_page(spending: Disbursement, refusal: DomainError | None = None) -> str:
    people, totals = [spending.proposed_by_id, spending.decided_by_id], fund_totals(spending.fund)
    return render_template(
        "finance/spending_one.html",
        spending=spending,
        available=totals.money(totals.available),
        people={each.id: each for each in db.session.scalars(sa.select(StaffMember).where(StaffMember.id.in_(people)))},
        back=disbursements.return_of(spending),
        today=local_day(utcnow(), periods.ZONE),
        me=acting().id,
        key=new_public_id(),
        refusal=refusal,
        typed=request.form,
        page_path=url_for(".spending_page", public_id=spending.public_id),
    )


@blueprint.get("/staff/spending/<public_id>/file")
@allowed("finance", "admin")
def attachment(public_id: str) -> ResponseReturnValue:
    spending = disbursements.find(public_id)
    if spending.attachment is None or spending.attachment_name is None:
        raise errors.AttachmentGone
    file, kind = attachments.path_of(spending.attachment), attachments.type_of(spending.attachment)
    answer = send_file(file, mimetype=kind, as_attachment=True, download_name=spending.attachment_name, max_age=0)
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


@blueprint.post("/staff/spending/<public_id>/approve")
@allowed("finance", "admin")
def approve(public_id: str) -> ResponseReturnValue:
    return _act(public_id, lambda spending, actor: disbursements.approve(spending, actor, utcnow()))


@blueprint.post("/staff/spending/<public_id>/reject")
@allowed("finance", "admin")
def reject(public_id: str) -> ResponseReturnValue:
    def act(spending: Disbursement, actor: Actor) -> Disbursement:
        reason = read_text(request.form.get("reason", ""), "reason", limit=500)
        return disbursements.reject(spending, reason, actor, utcnow())

    return _act(public_id, act)


@blueprint.post("/staff/spending/<public_id>/withdraw")
@allowed("finance", "admin")
def withdraw(public_id: str) -> ResponseReturnValue:
    return _act(public_id, lambda spending, actor: disbursements.withdraw(spending, actor, utcnow()))


@blueprint.post("/staff/spending/<public_id>/return")
@allowed("finance", "admin")
def came_back(public_id: str) -> ResponseReturnValue:
    """All of its money came back: proposed, as everything that changes what is spent."""

    def act(spending: Disbursement, actor: Actor) -> Disbursement:
        typed, now = request.form, utcnow()
        came_on = past_day(typed.get("came_on", ""), "came_on", now)
        note = read_text(typed.get("note", ""), "note", limit=LONGEST_NOTE)
        return disbursements.propose_return(spending, came_on, note, read_key(typed.get("key", "")), actor, now)

    return _act(public_id, act)


def _act(public_id: str, act: Callable[[Disbursement, Actor], Disbursement]) -> ResponseReturnValue:
    try:
        with unit_of_work():
            done = act(disbursements.find(public_id), acting())
    except DomainError as refusal:
        db.session.expire_all()
        return _spending_page(disbursements.find(public_id), refusal), refusal.status
    return redirect(url_for(".spending_page", public_id=done.public_id), code=303)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_entry(app, "spending.list_page", _l("Spending"), icon="workbook", order=44)
