"""Where providers report: 2xx is answered only for what is stored."""

from flask import Blueprint, Flask, jsonify, request
from flask.typing import ResponseReturnValue

from core.clock import utcnow
from core.db import db
from core.errors import NotFound
from core.http import csrf
from payments.base import BadNotification
from payments.registry import get_provider
from webhooks import jobs, services
from webhooks.models import InboxEvent

BODY_LIMIT = 256 * 1024

blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks")


class UnknownProvider(NotFound):
    code = "provider_unknown"


@blueprint.post("/<name>")
def receive(name: str) -> ResponseReturnValue:
    """Verify, store, commit, apply. What cannot be applied now stays stored and is retried by the worker."""
    try:
        provider = get_provider(name)
    except NotFound:
        raise UnknownProvider from None
    request.max_content_length = BODY_LIMIT
    now = utcnow()
    event = provider.verify(request.get_data(cache=False), dict(request.headers), now=now)
    event_id = services.store_event(event, now)
    if event_id is not None:
        apply_or_hand_over(event_id)
    return jsonify(received=True, duplicate=event_id is None)


def apply_or_hand_over(event_id: int) -> None:
    """Apply a stored event here, unless it takes a look at the provider: that is a worker's."""
    now = utcnow()
    try:
        alone = not services.needs_reading(services.facts_of(db.session.get_one(InboxEvent, event_id)))
    except BadNotification:
        alone = True  # applying it records why it cannot be
    if alone:
        services.apply_held(event_id, now)
    else:
        services.release(event_id, now)
        jobs.apply_event.enqueue(event_id)


def init_app(app: Flask) -> None:
    csrf.exempt(blueprint)
    app.register_blueprint(blueprint)
