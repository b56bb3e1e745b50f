"""Where the money is: fees, conversion, refunds, disputes and payouts, to the cent."""

import pytest
import stripe

from sandbox import money
from tests.sandbox.support import client_of, close, paid


@pytest.fixture
def charge(server, client) -> str:
    paid(server, client)
    return client.v1.charges.list().data[0].id


def net_of(server) -> int:
    """What all balance transactions add up to."""
    balance = server.state()["balance"]
    return balance["available"][0]["amount"] + balance["pending"][0]["amount"]


def types(server, start: int = 0) -> list[str]:
    return [event["type"] for event in server.events()][start:]


def test_charge_is_settled_in_euro_less_the_fee(client, charge):
    txn = client.v1.balance_transactions.list({"source": charge}).data[0]
    assert (txn.amount, txn.fee, txn.net, txn.currency) == (735, 46, 689, "eur")
    assert (txn.exchange_rate, txn.type, txn.reporting_category) == (0.294, "charge", "charge")
    assert txn.fee_details[0].amount == 46
    assert (txn.status, txn.available_on - txn.created) == ("pending", 7 * 86400)


def test_balance_transaction_appears_later_and_is_announced(make_server):
    server = make_server(txn_delay=60)
    client = client_of(server)
    paid(server, client)
    charge = client.v1.charges.list().data[0]
    assert charge.balance_transaction is None
    server.clock.advance(61)
    assert client.v1.charges.retrieve(charge.id).balance_transaction.startswith("txn_")
    last = server.events()[-1]
    assert (last["type"], last["data"]["previous_attributes"]) == ("charge.updated", {"balance_transaction": None})
    close(client)


def test_balance_transaction_waits_for_the_drill_when_there_is_no_delay(make_server):
    server = make_server(txn_delay=None)
    client = client_of(server)
    paid(server, client)
    server.clock.advance(86400)
    assert client.v1.balance_transactions.list().data == []
    assert len(server.drills.settle()["transactions"]) == 1
    assert server.drills.settle()["transactions"] == []
    close(client)


def test_rate_may_change_between_charge_and_refund(server, client, charge):
    server.drills.set_rate("byn", 0.3)
    client.v1.refunds.create({"charge": charge})
    refund = client.v1.balance_transactions.list({"type": "refund"}).data[0]
    assert (refund.amount, refund.exchange_rate) == (-750, 0.3)


def test_settlement_currency_needs_no_rate(server, client):
    from tests.sandbox.support import donation

    session = client.v1.checkout.sessions.create(donation(1000, "eur"))
    server.drills.pay([session.id])
    txn = client.v1.balance_transactions.list().data[0]
    assert (txn.amount, txn.exchange_rate, txn.fee) == (1000, None, 54)


@pytest.mark.parametrize(
    ("amount", "currency", "rate", "expected"),
    [(2500, "byn", 0.294, 735), (1000, "jpy", 0.0061, 610), (1000, "kwd", 3.0, 300), (1, "byn", 0.5, 1)],
)
def test_conversion_minds_the_minor_units(amount, currency, rate, expected):
    assert money.converted(amount, currency, "eur", rate) == expected


# Refunds


def test_partial_refunds_add_up_and_never_exceed_the_charge(server, client, charge):
    before = len(server.events())
    refund = client.v1.refunds.create({"charge": charge, "amount": 1000, "metadata": {"refund": "r-1"}})
    assert (refund.status, refund.metadata["refund"]) == ("succeeded", "r-1")
    assert types(server, before) == ["refund.created", "charge.refunded"]
    assert server.events()[-1]["data"]["previous_attributes"] == {"amount_refunded": 0}
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.refunds.create({"charge": charge, "amount": 1501})
    assert refusal.value.param == "amount"
    rest = client.v1.refunds.create({"payment_intent": refund.payment_intent})
    assert rest.amount == 1500
    whole = client.v1.charges.retrieve(charge, {"expand": ["refunds"]})
    assert (whole.amount_refunded, whole.refunded) == (2500, True)
    assert [item.id for item in whole.refunds.data] == [rest.id, refund.id]
    assert server.events()[-1]["data"]["previous_attributes"] == {"amount_refunded": 1000, "refunded": False}
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.refunds.create({"charge": charge})
    assert refusal.value.code == "charge_already_refunded"
    assert net_of(server) == 689 - 735


def test_refund_that_fails_later_brings_the_money_back(server, client, charge):
    refund = client.v1.refunds.create({"charge": charge, "amount": 1000})
    before = len(server.events())
    server.drills.fail_refund(refund.id)
    failed = client.v1.refunds.retrieve(refund.id, {"expand": ["failure_balance_transaction"]})
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert (failed.failure_balance_transaction.type, failed.failure_balance_transaction.net) == ("refund_failure", 294)
    assert types(server, before) == ["refund.updated", "charge.refund.updated", "refund.failed"]
    assert client.v1.charges.retrieve(charge).amount_refunded == 0
    assert net_of(server) == 689
    with pytest.raises(Exception, match="failed already"):
        server.drills.fail_refund(refund.id)


def test_pending_refund_succeeds_by_drill(server, client, charge):
    refund = server.drills.refund(charge, status="pending")
    server.drills.finish_refund(refund["id"])
    assert client.v1.refunds.retrieve(refund["id"]).status == "succeeded"
    update = client.v1.events.list({"type": "refund.updated"}).data[0]
    assert update.data.previous_attributes["status"] == "pending"


def test_only_a_refund_that_waits_for_the_donor_can_be_canceled(server, client, charge):
    done = client.v1.refunds.create({"charge": charge, "amount": 500})
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.cancel(done.id)
    waiting = server.drills.refund(charge, 500, "requires_action")
    assert client.v1.refunds.cancel(waiting["id"]).status == "canceled"
    assert client.v1.charges.retrieve(charge).amount_refunded == 500


def test_refund_of_a_bank_payment_is_booked_as_payment_refund(server, client):
    session_id = paid(server, client, outcome="delay")
    server.drills.finish_delayed(session_id)
    server.drills.refund(session_id)
    assert [txn.type for txn in client.v1.balance_transactions.list().data] == ["payment_refund", "payment"]


# Disputes


def test_dispute_withdraws_amount_and_fee_and_winning_returns_both(server, client, charge):
    before = len(server.events())
    dispute = server.drills.dispute(charge)
    assert net_of(server) == 689 - 735 - 2000
    server.drills.review_dispute(dispute["id"])
    won = server.drills.win_dispute(dispute["id"])
    assert types(server, before) == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_reinstated",
    ]
    assert [(txn["net"], txn["fee"]) for txn in won["balance_transactions"]] == [(-2735, 2000), (2735, -2000)]
    assert net_of(server) == 689
    assert client.v1.disputes.list({"charge": charge}).data[0].status == "won"
    assert client.v1.refunds.create({"charge": charge}).status == "succeeded"


def test_lost_dispute_keeps_the_money_away_and_blocks_refunds(server, client, charge):
    server.drills.lose_dispute(server.drills.dispute(charge)["id"])
    assert net_of(server) == 689 - 2735
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.refunds.create({"charge": charge})
    assert refusal.value.code == "charge_disputed"


def test_inquiry_moves_no_money_until_it_is_escalated(server, client, charge):
    inquiry = server.drills.dispute(charge, inquiry=True)
    assert inquiry["status"] == "warning_needs_response"
    assert net_of(server) == 689
    assert server.drills.close_inquiry(inquiry["id"])["status"] == "warning_closed"
    assert net_of(server) == 689
    second = server.drills.dispute(charge, inquiry=True)
    assert server.drills.escalate_inquiry(second["id"])["status"] == "needs_response"
    assert net_of(server) == 689 - 2735


def test_funds_may_be_withdrawn_after_the_dispute_was_opened(server, client, charge):
    dispute = server.drills.dispute(charge, withdraw=False)
    assert dispute["balance_transactions"] == []
    server.drills.withdraw_funds(dispute["id"])
    assert net_of(server) == 689 - 2735
    with pytest.raises(Exception, match="withdrawn already"):
        server.drills.withdraw_funds(dispute["id"])


# Payouts


def test_payout_groups_its_transactions_and_lists_itself(server, client):
    for _ in range(3):
        paid(server, client)
    payout = server.drills.payout()
    assert (payout["amount"], payout["status"]) == (3 * 689, "paid")
    listed = client.v1.balance_transactions.list({"payout": payout["id"]}).data
    assert sorted(txn.type for txn in listed) == ["charge", "charge", "charge", "payout"]
    assert sum(txn.net for txn in listed) == 0
    assert client.v1.balance_transactions.list({"type": "payout"}).data[0].source == payout["id"]
    assert types(server)[-3:] == ["payout.created", "payout.paid", "payout.reconciliation_completed"]
    assert client.v1.payouts.retrieve(payout["id"]).reconciliation_status == "completed"
    with pytest.raises(Exception, match="nothing to pay out"):
        server.drills.payout()


def test_payout_of_available_funds_leaves_pending_ones(server, client):
    paid(server, client)
    server.clock.advance(8 * 86400)
    paid(server, client)
    assert client.v1.balance.retrieve().available[0].amount == 689
    assert server.drills.payout(available_only=True)["amount"] == 689
    assert client.v1.balance.retrieve().pending[0].amount == 689


def test_failed_payout_returns_its_sum_and_the_next_one_takes_it_along(server, client):
    paid(server, client)
    failed = server.drills.payout("failed")
    assert (failed["status"], failed["failure_code"]) == ("failed", "account_closed")
    assert types(server)[-1] == "payout.failed"
    returned = client.v1.balance_transactions.retrieve(failed["failure_balance_transaction"])
    assert (returned.type, returned.net) == ("payout_failure", 689)
    again = server.drills.payout()
    assert again["amount"] == 689
    server.drills.fail_payout(again["id"], "no_account")
    assert net_of(server) == 689
