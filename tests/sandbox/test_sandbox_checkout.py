"""What a donor does on the hosted page, and what becomes of the session."""

import re
import time

import pytest
import requests
import stripe

from tests.sandbox.support import donation, paid


def submit(url: str, outcome: str, **fields: str) -> requests.Response:
    with requests.post(url, data={"outcome": outcome, **fields}, allow_redirects=False, timeout=5) as response:
        return response


def view(url: str, **headers: str) -> requests.Response:
    with requests.get(url, headers=headers, timeout=5) as response:
        return response


def test_paying_on_the_page_completes_the_session_and_sends_a_signed_event(server, client, inbox):
    session = client.v1.checkout.sessions.create(donation())
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)

    answer = submit(session.url, "pay")

    assert answer.status_code == 303
    assert answer.headers["Location"] == f"http://127.0.0.1:5000/d/token?session_id={session.id}"
    session = client.v1.checkout.sessions.retrieve(session.id)
    assert (session.status, session.payment_status, session.url) == ("complete", "paid", None)
    server.deliver_pending()
    assert inbox.types == [
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
        "charge.updated",
    ]
    completed = inbox.events[2]
    assert completed["api_version"] == "2026-10-28.endive"
    assert completed["data"]["object"]["metadata"] == {"donation_id": "018f2c5e-0001"}
    assert stripe.Webhook.construct_event(inbox.bodies[2], inbox.headers[2]["Stripe-Signature"], "whsec_of_the_tests")


def test_metadata_of_the_intent_reaches_intent_and_charge_but_not_the_session(server, client):
    params = donation(metadata={"on": "session"}, payment_intent_data={"metadata": {"on": "intent"}})
    session = client.v1.checkout.sessions.create(params)
    server.drills.pay([session.id])
    expand = {"expand": ["payment_intent.latest_charge"]}
    session = client.v1.checkout.sessions.retrieve(session.id, expand)
    assert session.metadata["on"] == "session"
    assert session.payment_intent.metadata["on"] == "intent"
    assert session.payment_intent.latest_charge.metadata["on"] == "intent"


def test_declined_card_leaves_the_session_open_for_another_try(server, client):
    session = client.v1.checkout.sessions.create(donation())
    page = submit(session.url, "decline")
    assert page.status_code == 200
    assert "отклонена" in page.text
    assert [event["type"] for event in server.events(session.id)] == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
    ]
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    intent = client.v1.payment_intents.list().data[0]
    assert (intent.status, intent.last_payment_error.code) == ("requires_payment_method", "card_declined")

    assert submit(session.url, "pay").status_code == 303
    again = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (again.payment_status, again.payment_intent.id) == ("paid", intent.id)
    assert again.payment_intent.last_payment_error is None


def test_delayed_payment_completes_unpaid_and_settles_later(server, client):
    session = client.v1.checkout.sessions.create(donation())
    assert submit(session.url, "delay").status_code == 303
    session = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (session.status, session.payment_status) == ("complete", "unpaid")
    assert session.payment_intent.status == "processing"

    server.drills.finish_delayed(session.id)
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
    types = [event["type"] for event in server.events(session.id)]
    assert types.index("checkout.session.completed") < types.index("checkout.session.async_payment_succeeded")


def test_delayed_payment_may_fail_after_the_session_completed(server, client):
    session_id = paid(server, client, outcome="delay")
    server.drills.finish_delayed(session_id, "failure")
    session = client.v1.checkout.sessions.retrieve(session_id, {"expand": ["payment_intent"]})
    assert (session.status, session.payment_status) == ("complete", "unpaid")
    assert session.payment_intent.status == "requires_payment_method"
    assert server.events(session_id)[-1]["type"] == "checkout.session.async_payment_failed"


def test_delayed_payment_settles_by_itself_when_asked_to(make_server):
    from tests.sandbox.support import client_of, close

    server = make_server(delayed_after=3600)
    client = client_of(server)
    session_id = paid(server, client, outcome="delay")
    assert client.v1.checkout.sessions.retrieve(session_id).payment_status == "unpaid"
    server.clock.advance(3601)
    assert client.v1.checkout.sessions.retrieve(session_id).payment_status == "paid"
    close(client)


def test_cancel_sends_the_donor_back_and_keeps_the_session_open(server, client):
    session = client.v1.checkout.sessions.create(donation())
    answer = submit(session.url, "cancel")
    assert (answer.status_code, answer.headers["Location"]) == (303, "http://127.0.0.1:5000/d/token")
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert server.events() == []


def test_session_expires_by_itself_when_its_time_has_passed(server, client):
    session = client.v1.checkout.sessions.create(donation(expires_at=int(time.time()) + 1860))
    server.clock.advance(1870)
    expired = client.v1.checkout.sessions.retrieve(session.id)
    assert (expired.status, expired.url, expired.payment_intent) == ("expired", None, None)
    assert [event["type"] for event in server.events()] == ["checkout.session.expired"]
    assert "истёк" in view(session.url).text
    assert submit(session.url, "pay").status_code == 200
    assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"


def test_expiring_a_declined_session_cancels_its_intent(server, client):
    session_id = paid(server, client, outcome="decline")
    assert client.v1.checkout.sessions.expire(session_id).status == "expired"
    assert client.v1.payment_intents.list().data[0].status == "canceled"


def test_paid_session_cannot_be_expired(server, client):
    session_id = paid(server, client)
    with pytest.raises(stripe.InvalidRequestError, match="complete"):
        client.v1.checkout.sessions.expire(session_id)


def test_paying_twice_charges_once_and_leads_on(server, client):
    session = client.v1.checkout.sessions.create(donation())
    assert submit(session.url, "pay").status_code == submit(session.url, "pay").status_code == 303
    assert len(client.v1.charges.list().data) == 1
    assert "завершён" in view(session.url).text


def test_page_is_one_form_in_the_donors_language_with_a_strict_policy(server, client):
    session = client.v1.checkout.sessions.create(donation())
    page = view(session.url)
    assert page.text.count("<form") == 1
    assert re.findall(r'name="outcome" value="(\w+)"', page.text) == ["pay", "decline", "delay", "cancel"]
    assert "action=" not in page.text
    assert all(word in page.text for word in ("25,00\u00a0BYN", "Bullying-free internet", "donor@example.org"))
    assert 'lang="ru"' in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:5000;" in policy
    assert not re.search(r"(src|href)=[\"']?http", page.text)
    english = client.v1.checkout.sessions.create(donation(locale="en"))
    assert "Pay 25.00" in view(english.url).text


def test_automatic_locale_follows_the_browser(server, client):
    session = client.v1.checkout.sessions.create(donation(locale="auto"))
    assert 'lang="ru"' in view(session.url, **{"Accept-Language": "be-BY,be;q=0.9"}).text
    assert 'lang="en"' in view(session.url, **{"Accept-Language": "de"}).text


def test_what_a_product_is_called_cannot_inject_markup(server, client):
    params = donation()
    params["line_items"][0]["price_data"]["product_data"]["name"] = "<script>alert(1)</script>"
    session = client.v1.checkout.sessions.create(params)
    assert "<script>" not in view(session.url).text


def test_email_typed_on_the_page_becomes_the_customers(server, client):
    session = client.v1.checkout.sessions.create(donation(customer_email=None))
    assert submit(session.url, "pay", email="not an address").status_code == 400
    submit(session.url, "pay", email="typed@example.org")
    assert client.v1.checkout.sessions.retrieve(session.id).customer_details.email == "typed@example.org"


def test_unknown_page_and_unknown_outcome_are_refused(server, client):
    assert view(f"{server.url}/c/pay/cs_test_nothing").status_code == 404
    session = client.v1.checkout.sessions.create(donation())
    assert submit(session.url, "steal").status_code == 400
    assert server.events() == []
