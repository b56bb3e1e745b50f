"""The hosted payment page: one form, posted to the page's own address, field `outcome`.

`pay`, `decline`, `delay`, `cancel` are a stable interface for people, browsers and load generators alike.
"""

import base64
import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import jinja2

from sandbox import checkout, timers
from sandbox.account import Account
from sandbox.checks import email as check_email
from sandbox.errors import ApiError
from sandbox.money import shown
from sandbox.store import Json
from sandbox.web import Request, Response

PREFIX = "/c/pay/"
HTML = "text/html; charset=utf-8"

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_STYLE = (Path(__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

TEXTS = {
    "en": {
        "sandbox": "Sandbox: no real money moves here",
        "email": "E-mail for the receipt",
        "pay": "Pay {amount}",
        "decline": "Card is declined",
        "delay": "Pay by a slow bank transfer",
        "cancel": "Cancel and go back",
        "declined": "The card was declined. Nothing was charged; try again.",
        "bad_email": "This does not look like an e-mail address.",
        "complete": "This payment is complete.",
        "expired": "This payment page has expired. Nothing was charged.",
        "canceled": "Payment was canceled. Nothing was charged.",
        "missing": "There is no such payment page.",
        "continue": "Continue",
    },
    "ru": {
        "sandbox": "Песочница: настоящие деньги здесь не списываются",
        "email": "E-mail для квитанции",
        "pay": "Оплатить {amount}",
        "decline": "Карта отклонена",
        "delay": "Оплатить медленным банковским переводом",
        "cancel": "Отменить и вернуться",
        "declined": "Карта отклонена. Деньги не списаны, попробуйте ещё раз.",
        "bad_email": "Это не похоже на адрес электронной почты.",
        "complete": "Этот платёж завершён.",
        "expired": "Срок действия этой страницы истёк. Деньги не списаны.",
        "canceled": "Платёж отменён. Деньги не списаны.",
        "missing": "Такой страницы оплаты нет.",
        "continue": "Продолжить",
    },
}


def render(template: str, **values: object) -> bytes:
    return _TEMPLATES.get_template(template).render(style=_STYLE, **values).encode()


def page_headers(form_targets: str = "'self'") -> dict[str, str]:
    """A strict policy. Browsers hold `form-action` against the redirect after a POST too, so the addresses
    that the donor is sent on to must be named in it."""
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {form_targets}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


class HostedPage:
    """Answers everything under /c/pay/."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def __call__(self, request: Request) -> Response:
        timers.run_due(self._account)
        session = self._account.store.get(request.path.removeprefix(PREFIX), "checkout.session")
        if session is None:
            texts = TEXTS[_language("auto", request)]
            values = {"lang": "en", "texts": texts, "message": texts["missing"], "onward": None}
            return Response(render("notice.html", **values), 404, HTML, page_headers())
        if request.method == "POST":
            return self._act(session, request)
        return self._show(session, request)

    def _act(self, session: Json, request: Request) -> Response:
        fields = dict(request.form())
        outcome = fields.get("outcome", "")
        email = fields.get("email", "").strip() or None
        if outcome == "cancel":
            return self._cancel(session, request)
        if outcome not in ("pay", "decline", "delay"):
            return self._show(session, request, status=400)
        if session["status"] == "complete":
            return _see_other(_success_url(session))
        try:
            if email is not None:
                check_email(email, "email")
        except ApiError:
            return self._show(session, request, "bad_email", status=400)
        try:
            perform(self._account, session["id"], outcome, email)
        except ApiError:  # it has expired, or another tab was quicker: show what it is now
            return self._show(self._account.store.get(session["id"]) or session, request)
        if outcome == "decline":
            return self._show(session, request, "declined")
        return _see_other(_success_url(session))

    def _cancel(self, session: Json, request: Request) -> Response:
        """Leaving does not close the session: it may be opened again until it expires."""
        if session["cancel_url"]:
            return _see_other(_filled(session["cancel_url"], session))
        return self._show(session, request, "canceled")

    def _show(self, session: Json, request: Request, notice: str | None = None, status: int = 200) -> Response:
        language = _language(session["locale"], request)
        texts = TEXTS[language]
        if session["status"] != "open":
            onward = _success_url(session) if session["status"] == "complete" else session["cancel_url"]
            message = texts[session["status"]]
            body = render("notice.html", lang=language, texts=texts, message=message, onward=onward)
            return Response(body, 200, HTML, page_headers())
        body = render(
            "pay.html",
            lang=language,
            texts=texts,
            session=session,
            amount=_amount(session, language),
            products=[line["description"] for line in self._account.store.hidden(session["id"])["lines"]],
            notice=texts[notice] if notice else None,
        )
        return Response(body, status, HTML, page_headers(_form_targets(session)))


def perform(account: Account, session_id: str, outcome: str, email: str | None = None) -> Json:
    """What a donor does, without the page; raises ApiError when the session is not open."""
    if outcome == "pay":
        return checkout.pay(account, session_id, email)
    if outcome == "delay":
        return checkout.delay(account, session_id, email)
    if outcome == "decline":
        return checkout.decline(account, session_id)
    raise ValueError(f"no such outcome: {outcome}; one of pay, decline, delay")


def _amount(session: Json, language: str) -> str:
    amount = shown(session["amount_total"], session["currency"])
    return amount.replace(".", ",") if language == "ru" else amount


def _filled(url: str, session: Json) -> str:
    return url.replace("{CHECKOUT_SESSION_ID}", session["id"])


def _success_url(session: Json) -> str:
    return _filled(session["success_url"], session)


def _see_other(url: str) -> Response:
    return Response(b"", 303, HTML, {"Location": url, "Cache-Control": "no-store"})


def _form_targets(session: Json) -> str:
    urls = [url for url in (session["success_url"], session["cancel_url"]) if url]
    origins = {f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, urls)}
    return " ".join(["'self'", *sorted(origins)])


def _language(locale: str | None, request: Request) -> str:
    """Russian or English, by the session's locale, or the browser's when that is `auto`."""
    wanted = locale if locale not in (None, "auto") else request.header("accept-language") or ""
    return "ru" if (wanted or "").lower().startswith(("ru", "be")) else "en"
