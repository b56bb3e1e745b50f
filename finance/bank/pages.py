"""Console pages of our bank accounts: statements are checked and imported, a person says what a line is."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Flask, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.http import takes_upload
from core.i18n import format_money
from finance import names
from finance.bank import chain, matching, services
from finance.bank.chain import Gap
from finance.bank.mapping import DAY_FORMATS, DECIMALS, Mapping, read_mapping
from finance.bank.models import BankAccount, BankLine, BankStatement
from finance.bank.reading import StatementRefused
from finance.forms import read_text
from staff import frame
from staff.access import acting, allowed

blueprint = Blueprint("bank", __name__, template_folder="../templates")
blueprint.context_processor(names.in_templates)

KIND_NAMES = {
    "payout": _l("Payout of the provider"),
    "payout_back": _l("Payout that the bank sent back"),
    "disbursement": _l("Payment to a programme"),
    "sponsor": _l("Payment of the sponsor"),
    "suspense": _l("Not known yet: in suspense"),
}
STATEMENTS_SHOWN, LINES_SHOWN, FAULTS_SHOWN, CHOICES = 20, 200, 100, 20


@blueprint.get("/staff/bank")
@allowed("finance", "admin")
def overview() -> str:
    """Our accounts, what waits for a person, what was imported last."""
    waiting = matching.waiting_lines()
    query = sa.select(BankStatement).order_by(BankStatement.id.desc()).limit(STATEMENTS_SHOWN)
    return render_template(
        "finance/bank/overview.html",
        accounts=list(db.session.scalars(sa.select(BankAccount).order_by(BankAccount.code))),
        waiting=waiting[:LINES_SHOWN],
        waiting_count=len(waiting),
        statements=list(db.session.scalars(query)),
        as_of=utcnow(),
    )


@blueprint.get("/staff/bank/new")
@allowed("finance", "admin")
def new_account() -> str:
    return _account_form(None)


@blueprint.post("/staff/bank/new")
@allowed("finance", "admin")
def make_account() -> ResponseReturnValue:
    actor, typed = acting(), request.form
    try:
        with unit_of_work():
            account = services.make_account(
                typed.get("code", "").strip(),
                read_text(typed.get("name", ""), "name", limit=120, needed=False),
                typed.get("currency", "").strip().upper(),
                read_mapping(typed),
                actor=actor.email,
                address=actor.address,
                now=utcnow(),
            )
    except DomainError as refusal:
        return _account_form(None, refusal), refusal.status
    return redirect(url_for(".account_page", code=account.code), code=303)


@blueprint.get("/staff/bank/<code>/mapping")
@allowed("finance", "admin")
def edit_account(code: str) -> str:
    return _account_form(services.account_by_code(code))


@blueprint.post("/staff/bank/<code>/mapping")
@allowed("finance", "admin")
def change_account(code: str) -> ResponseReturnValue:
    account, actor = services.account_by_code(code), acting()
    try:
        name = read_text(request.form.get("name", ""), "name", limit=120, needed=False)
        mapping = read_mapping(request.form)
        with unit_of_work():
            account = services.account_by_code(code)
            services.change_account(account, name, mapping, actor=actor.email, address=actor.address, now=utcnow())
    except DomainError as refusal:
        return _account_form(services.account_by_code(code), refusal), refusal.status
    flash(_("Statements are read this way from now on."), "good")
    return redirect(url_for(".account_page", code=code), code=303)


def _account_form(account: BankAccount | None, refusal: DomainError | None = None) -> str:
    typed: dict[str, Any] = request.form.to_dict() if refusal else {}
    if account is not None and not typed:
        typed = {"name": account.name, "currency": account.currency, **account.mapping}
    return render_template(
        "finance/bank/account.html",
        account=account,
        typed=typed,
        refusal=refusal,
        day_formats=list(DAY_FORMATS.items()),
        decimals=list(DECIMALS.items()),
        page_path=url_for(".edit_account", code=account.code) if account else url_for(".new_account"),
    )


@blueprint.get("/staff/bank/<code>")
@allowed("finance", "admin")
def account_page(code: str) -> str:
    return _account_page(services.account_by_code(code))


def _account_page(account: BankAccount, **result: Any) -> str:
    query = sa.select(BankLine).where(BankLine.account_id == account.id)
    query = query.order_by(BankLine.day.desc(), BankLine.id.desc()).limit(LINES_SHOWN)
    return render_template(
        "finance/bank/statements.html",
        account=account,
        mapping=Mapping(**account.mapping),
        lines=list(db.session.scalars(query)),
        kinds=KIND_NAMES,
        gaps=[told(gap) for gap in chain.gaps(account)],
        page_path=url_for(".account_page", code=account.code),
        **result,
    )


def told(gap: Gap) -> str:
    """Of which days a statement is missing, or which two contradict each other."""
    values = {"first": format_date(gap.first), "last": format_date(gap.last), "amount": format_money(gap.amount)}
    if gap.overlaps:
        return str(_("Two statements of %(first)s to %(last)s contradict each other by %(amount)s.", **values))
    return str(_("A statement of %(first)s to %(last)s is missing: the balances are %(amount)s apart.", **values))


@blueprint.post("/staff/bank/<code>")
@allowed("finance", "admin")
@takes_upload(services.MOST_MEGABYTES + 1)
def import_file(code: str) -> ResponseReturnValue:
    """Check the file, and import it when that button was pressed and every line is good."""
    account, file = services.account_by_code(code), request.files.get("file")
    if file is None or not file.filename:
        return redirect(url_for(".account_page", code=code), code=303)
    data, actor = file.stream.read(), acting()
    try:
        if request.form.get("act") != "import":
            statement, new = services.check_statement(account, data, utcnow())
            return _account_page(account, statement=statement, new=new, faults=statement.faults[:FAULTS_SHOWN])
        with unit_of_work():
            account = services.account_by_code(code)
            kept = services.import_statement(
                account, data, file.filename, actor=actor.email, address=actor.address, now=utcnow()
            )
    except StatementRefused as refusal:
        account, statement = services.account_by_code(code), refusal.statement
        page = _account_page(account, statement=statement, faults=statement.faults[:FAULTS_SHOWN], refusal=refusal)
        return page, refusal.status
    except DomainError as refusal:
        return _account_page(services.account_by_code(code), refusal=refusal), refusal.status
    flash(_("Imported: %(new)s new lines of %(lines)s.", new=kept.new_lines, lines=kept.lines), "good")
    return redirect(url_for(".account_page", code=code), code=303)


@blueprint.get("/staff/bank/lines/<public_id>")
@allowed("finance", "admin")
def line_page(public_id: str) -> str:
    return _line_page(matching.line_by_public_id(public_id))


def _line_page(line: BankLine, refusal: DomainError | None = None) -> str:
    return render_template(
        "finance/bank/line.html",
        line=line,
        candidates=[] if line.match else matching.candidates_for(line)[:CHOICES],
        kinds=KIND_NAMES,
        typed=request.form,
        refusal=refusal,
        page_path=url_for(".line_page", public_id=line.public_id),
    )


def _act(public_id: str, done: str, act: Callable[[BankLine, str], None]) -> ResponseReturnValue:
    """Do something to a line with the reason typed, and show the line again."""
    try:
        reason = read_text(request.form.get("reason", ""), "reason", limit=200)
        with unit_of_work():
            act(matching.line_by_public_id(public_id), reason)
    except DomainError as refusal:
        return _line_page(matching.line_by_public_id(public_id), refusal), refusal.status
    flash(done, "good")
    return redirect(url_for(".line_page", public_id=public_id), code=303)


@blueprint.post("/staff/bank/lines/<public_id>/match")
@allowed("finance", "admin")
def match(public_id: str) -> ResponseReturnValue:
    kind, _separator, ref = request.form.get("candidate", "").partition("|")
    actor, now = acting(), utcnow()
    return _act(
        public_id,
        _("The line is matched."),
        lambda line, reason: matching.match_by_hand(line, kind, ref, reason, actor, now),
    )


@blueprint.post("/staff/bank/lines/<public_id>/suspense")
@allowed("finance", "admin")
def suspense(public_id: str) -> ResponseReturnValue:
    actor, now = acting(), utcnow()
    done = _("The line stands in suspense: outside every fund, until somebody knows better.")
    return _act(public_id, done, lambda line, reason: matching.post_to_suspense(line, reason, actor, now))


@blueprint.post("/staff/bank/lines/<public_id>/take-back")
@allowed("finance", "admin")
def take_back(public_id: str) -> ResponseReturnValue:
    actor, now = acting(), utcnow()
    done = _("The match is taken back; the line waits again.")
    return _act(public_id, done, lambda line, reason: matching.take_back(line, reason, actor, now))


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_entry(app, "bank.overview", _l("Bank"), icon="download", order=47)
