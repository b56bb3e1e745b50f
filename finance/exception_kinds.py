"""What each kind in the queue is called, what probably happened, and which acts resolve it. Kinds are stable names."""

from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l

AGAIN, ASIDE, LINK, REFUND, FEE, RETRY = "again", "aside", "link", "refund", "fee", "retry"
CORRECT = "correct"
CHECK = "check"  # the books are checked again


@dataclass(frozen=True)
class Kind:
    """`guess` is what probably happened and what helps, in plain words; `acts` beside the explanation, best first.

    `explainable`: a person may know why it is so; what must never be cannot be explained.
    """

    title: Any
    guess: Any
    acts: tuple[str, ...] = ()
    explainable: bool = True


KINDS: dict[str, Kind] = {
    # Told by the provider's events
    "unknown_payment": Kind(
        _l("A payment that is no gift of ours"),
        _l(
            "Somebody paid through the same provider account for something else, or the gift was lost here. Link it to "
            "the donation it belongs to, or give it back."
        ),
        (LINK, REFUND),
    ),
    "unknown_dispute": Kind(
        _l("A dispute about a payment that is no gift of ours"),
        _l("The bank questions a payment that stands in suspense. Answer it at the provider; nothing is in a fund."),
    ),
    "amount_mismatch": Kind(
        _l("Another amount than we asked for"),
        _l(
            "The provider charged another amount or currency than the donor chose here. The money stands in suspense: "
            "give it back, or explain it."
        ),
        (REFUND,),
    ),
    "charged_twice": Kind(
        _l("Charged twice under one attempt"),
        _l("The provider reports a second charge for a gift that is paid. It stands in suspense: give it back."),
        (REFUND,),
    ),
    "over_refunded": Kind(
        _l("More was given back than came"),
        _l("Two people refunded at once, here and at the provider. Ask the provider to cancel one of the refunds."),
    ),
    "refund_mismatch": Kind(
        _l("A refund of another amount or currency"),
        _l("The provider tells of a refund that is not the one we know. Compare it at the provider."),
    ),
    "dispute_mismatch": Kind(
        _l("A dispute in another currency"),
        _l("The dispute names another currency than the gift, so it is not booked. Compare it at the provider."),
    ),
    "refund_refused": Kind(
        _l("A refund that the provider refuses"),
        _l("The payment is too old, disputed or given back already. Order it again, or pay the donor by bank."),
    ),
    "dead_event": Kind(
        _l("An event that could not be applied for four days"),
        _l("Its payment never became known, or our software has a fault. Try again; if it fails, tell the operator."),
        (RETRY,),
    ),
    # The provider's lines
    "missing_event": Kind(
        _l("The provider has a charge and we have no gift"),
        _l(
            "Its notification never reached us, or it belongs to something else. Fetch again; if it stays "
            "unknown, book it to suspense, so that the balances agree."
        ),
        (AGAIN, ASIDE),
    ),
    "unmatched_settlement": Kind(
        _l("A line of the provider about something we do not know"),
        _l("A refund or dispute whose notification never reached us. Fetch again, or book the line to suspense."),
        (AGAIN, ASIDE),
    ),
    "unexplained_settlement": Kind(
        _l("A fee or adjustment of the provider that names nothing"),
        _l("A monthly fee or a correction by the provider. It stands in suspense: charge it to a fund, or explain."),
        (FEE,),
    ),
    "line_differs": Kind(
        _l("A line of the provider says another amount now"),
        _l(
            "Our copy of the line was changed, or the provider corrected it. Take the provider's figures: what was "
            "booked of the line is taken back and booked anew."
        ),
        (CORRECT, AGAIN),
    ),
    "fee_changed": Kind(
        _l("The provider's fee is another one now"),
        _l(
            "The provider changed a fee after it was booked, or our copy was changed. Take the provider's figures: "
            "what was booked of the line is taken back and booked anew."
        ),
        (CORRECT, AGAIN),
    ),
    "line_not_at_provider": Kind(
        _l("A line that the provider does not list"),
        _l(
            "It was written into our database by hand, or it belongs to another account. Fetch again; if the provider "
            "still does not list it, take it out."
        ),
        (AGAIN, CORRECT),
    ),
    # Compared every day
    "missing_settlement": Kind(
        _l("A gift without a line of the provider"),
        _l("The provider did not settle it within three days, or never charged it. Look the payment up there."),
        (AGAIN,),
    ),
    "missing_entry": Kind(
        _l("Known, but not booked"),
        _l("It happened, and its entry is missing in our books. Book it; and tell the operator how it came to this."),
        (CORRECT, AGAIN),
    ),
    "doubled_row": Kind(
        _l("Booked or told twice"),
        _l(
            "An entry for which nothing happened: take it back; if its line is gone here, fetch again from its day "
            "first. Two lines of the provider for one thing: it charged twice, then ask it and explain; or it lists "
            "only one of them, then take the other one out where this list names it."
        ),
        (CORRECT, AGAIN),
    ),
    "wrong_amount": Kind(
        _l("Amounts do not agree"),
        _l(
            "What is booked is not what was told: correct the entry. Or a line is not its gift at its rate: fetch "
            "again, then it is in this list as a line that says another amount now; take the provider's figures there."
        ),
        (CORRECT, AGAIN),
    ),
    "wrong_state": Kind(
        _l("A donation does not stand as its payments say"),
        _l(
            "Its payments, refunds and disputes add up to another state than it has: somebody changed a row. Try again "
            "makes it what they say."
        ),
        (RETRY,),
    ),
    "suspense_differs": Kind(
        _l("Suspense is not what stands in it"),
        _l("Something was posted to the suspense account for nothing that is known. Look at what stands there."),
        (AGAIN,),
    ),
    "fund_overspent": Kind(
        _l("More was spent of a fund than it has"),
        _l(
            "Money was given back, or taken by a donor’s bank, after it had been spent. Nothing can be spent until new "
            "gifts have made up for it."
        ),
        (AGAIN,),
    ),
    "refund_not_at_provider": Kind(
        _l("A refund that the provider does not know"),
        _l("We have given it back in our books, and the provider has not. Look at the donation, and at the provider."),
        (AGAIN,),
    ),
    "payout_short": Kind(
        _l("A payout is not the sum of its lines"),
        _l("The provider kept something back, or lines are missing here. Fetch again, then ask the provider."),
        (AGAIN,),
    ),
    "payout_failed_at_bank": Kind(
        _l("A payout that failed after the bank had it"),
        _l(
            "The bank's line that takes the money back is not imported yet. It is matched by itself; if it has another "
            "amount, say on its page that it is this payout sent back."
        ),
    ),
    "payout_unmatched": Kind(
        _l("A payout that is in no statement"),
        _l("The statement is not imported yet, the bank kept a fee, or the money went astray. See the bank's lines."),
    ),
    "bank_line_unknown": Kind(
        _l("A bank line that nothing is known of"),
        _l("Say on its page what it is, or book it to suspense."),
    ),
    "bank_line_doubled": Kind(
        _l("The bank says the same twice"),
        _l("Two equal payments, or the file holds one line twice. Ask the bank, then say what the second one is."),
    ),
    "spending_not_at_bank": Kind(
        _l("Recorded here, and not at the bank"),
        _l("The bank's statement of those days does not show this payment. Was it really sent, and in this amount?"),
    ),
    "statement_gap": Kind(
        _l("A bank statement is missing"),
        _l(
            "A statement does not begin with the balance with which the one before ended. Import the statement of the "
            "days between; where the two overlap, ask the bank which of them is right."
        ),
    ),
    "bank_balance_differs": Kind(
        _l("The bank's balance is not what our books say"),
        _l(
            "A statement is missing, an entry was changed, or the account had money before we began: that can be "
            "explained. Lines that wait and payments not yet in a statement are counted in."
        ),
    ),
    "balance_differs": Kind(
        _l("The provider's balance is not what our books say"),
        _l(
            "Lines are missing here, or the account was used before we began. Fetch again from an earlier day: "
            "flask finance reconcile --since."
        ),
        (AGAIN,),
    ),
    "summary_differs": Kind(
        _l("Kept sums differ from the postings"),
        _l(
            "Postings or sums were changed in the database, and reports by this dimension may be wrong; flask finance "
            "check-summaries tells which days. Entries have to be right first: sums that are made anew of wrong "
            "entries are wrong, and nobody sees it any more."
        ),
        (CHECK,),
    ),
    "check_failed": Kind(
        _l("A check of the books fails"),
        _l("Something that must never be. Tell the operator what the details name. It goes away once it is good."),
        (CHECK,),
        explainable=False,
    ),
}
OTHER = Kind(_l("Something else"), _l("Look at the details, and explain it."))


def kind_of(name: str) -> Kind:
    return KINDS.get(name, OTHER)
