"""Campaigns, donors, donations and what happens to their money; donor pages and the public JSON API.

Vocabulary
    Donation  the gift, in its campaign's currency; its status is derived from the facts below
    Payment   one attempt to pay it: created → processing → succeeded / failed / expired
    Refund, Dispute   rows of their own, as the provider tells them
    Receipt   the number that the donor gets, gapless within a year
"""
