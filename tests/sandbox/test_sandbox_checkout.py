"""A donation from session to signed webhook, with the real library."""

import requests

from tests.sandbox.support import donation


def submit(session_url: str, outcome: str, **fields: str) -> requests.Response:
    data = {"outcome": outcome, **fields}
    with requests.post(session_url, data=data, allow_redirects=False, timeout=5) as response:
        return response


def test_paying_on_the_hosted_page_completes_the_session_and_sends_a_signed_event(server, client, inbox):
    session = client.v1.checkout.sessions.create(donation())
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)

    answer = submit(session.url, "pay")

    assert answer.status_code == 303
    assert answer.headers["Location"] == f"http://127.0.0.1:5000/d/token?session_id={session.id}"
    session = client.v1.checkout.sessions.retrieve(session.id)
    assert (session.status, session.payment_status, session.url) == ("complete", "paid", None)
    server.deliver_pending()
    assert "checkout.session.completed" in inbox.types
