"""The drills page at / and the JSON interface under /_sandbox/."""

import json
from urllib.parse import urlencode, urlsplit

from sandbox import delivery, drills, hosted, overview, timers
from sandbox.account import Account
from sandbox.api import Api
from sandbox.drills import Drills
from sandbox.errors import ApiError
from sandbox.faults import KINDS, Faults
from sandbox.money import shown
from sandbox.store import Json, dumps
from sandbox.web import Request, Response

BASE = "/_sandbox/"
_FORM = "application/x-www-form-urlencoded"
_LISTED_EVENTS = 40


class Console:
    """Answers what is neither API nor payment page. Errors are `{"error": {…}}` as in the API."""

    def __init__(self, account: Account, drill: Drills, api: Api, faults: Faults) -> None:
        self._account = account
        self._drills = drill
        self._api = api
        self._faults = faults

    def __call__(self, request: Request) -> Response:
        timers.run_due(self._account)
        if request.path == "/" and request.method in ("GET", "HEAD"):
            return self._page(request)
        if request.path.startswith("/receipts/"):
            return Response(b"A receipt of the sandbox: no real money moved.", 200, "text/plain")
        try:
            return self._json(request)
        except ApiError as error:
            if request.content_type == _FORM:
                return _back({"failed": error.message})
            return Response(dumps(error.body("req_sandbox")).encode(), error.status)

    def _json(self, request: Request) -> Response:
        place = request.path.removeprefix(BASE)
        if not request.path.startswith(BASE):
            raise ApiError(f"Nothing here: {request.path}", status=404)
        if request.method == "POST":
            return self._post(place, request)
        query = dict(request.query)
        if place == "requests" and request.method == "DELETE":
            self._api.log.clear()
            return _json({"requests": []})
        if request.method != "GET":
            raise ApiError("Method not allowed", status=405)
        return _json(self._get(place, query))

    def _get(self, place: str, query: dict[str, str]) -> Json:
        if place == "health":
            return {"status": "ok"}
        if place == "state":
            return overview.state(self._account, self._faults)
        if place == "requests":
            return {"requests": list(self._api.log)}
        if place == "faults":
            return {"faults": self._faults.listed(), "kinds": KINDS}
        if place == "drills":
            return {"drills": {name: _described(name) for name in drills.NAMES}}
        if place == "events":
            payment = query.get("payment")
            subject = self._drills.session_of(payment) if payment else None
            return {"events": self._account.events(subject)}
        kind, _, object_id = place.partition("/")
        if kind == "payments":
            return overview.payment(self._account, self._drills.session_of(object_id))
        if kind == "deliveries":
            return {"event": object_id, "attempts": delivery.attempts_of(self._account, object_id)}
        raise ApiError(f"Nothing here: {BASE}{place}", status=404)

    def _post(self, place: str, request: Request) -> Response:
        """Drills, as JSON or from the page's forms; no other site may press the buttons."""
        kind, _, name = place.partition("/")
        if kind != "drills":
            raise ApiError(f"Nothing here: {BASE}{place}", status=404)
        _require_own_page(request)
        if request.content_type == _FORM:
            arguments = {key: value for key, value in request.form() if value != ""}
        else:
            arguments = _json_object(request)
        result = drills.run(self._drills, name.replace("-", "_"), arguments)
        return _back({"done": name}) if request.content_type == _FORM else _json(result)

    def _page(self, request: Request) -> Response:
        state = overview.state(self._account, self._faults)
        events = self._account.store.rows(
            "SELECT e.id, e.type, e.created, (SELECT group_concat(state) FROM deliveries d"
            " WHERE d.event_id = e.id) AS states FROM events e ORDER BY seq DESC LIMIT ?",
            (_LISTED_EVENTS,),
        )
        query = dict(request.query)
        settlement = self._account.settings.settlement_currency
        body = hosted.render(
            "drills.html",
            lang="en",
            texts=hosted.TEXTS["en"],
            state=state,
            events=[dict(row) for row in events],
            shown=shown,
            settlement=settlement,
            faults=KINDS,
            notice=query.get("failed"),
            done=query.get("done"),
        )
        return Response(body, 200, hosted.HTML, hosted.page_headers())


def _described(name: str) -> Json:
    """A drill's text and arguments, from its docstring and signature."""
    arguments = {
        parameter.name: None if parameter.default is parameter.empty else parameter.default
        for parameter in drills.parameters(name)
    }
    return {"what": (getattr(Drills, name).__doc__ or "").strip(), "arguments": arguments}


def _json_object(request: Request) -> Json:
    try:
        value = json.loads(request.body or b"{}")
    except ValueError as error:
        raise ApiError("The body is not JSON") from error
    if not isinstance(value, dict):
        raise ApiError("The body must be a JSON object")
    return value


def _require_own_page(request: Request) -> None:
    origin = request.header("origin")
    if origin is not None and urlsplit(origin).netloc != request.header("host"):
        raise ApiError("Drills are pressed on the sandbox's own page", status=403)


def _json(value: Json) -> Response:
    return Response(dumps(value).encode())


def _back(query: dict[str, str]) -> Response:
    return Response(b"", 303, hosted.HTML, {"Location": f"/?{urlencode(query)}"})
