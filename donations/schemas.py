"""Shapes of the public API. Amounts are whole minor units."""

from collections.abc import Mapping
from typing import ClassVar

from marshmallow import Schema, fields, pre_load
from marshmallow.validate import OneOf

from core.i18n import LOCALES
from core.schemas import StrictPart, StrictSchema, TrueOrFalse


class DonorIn(StrictPart):
    name = fields.String(allow_none=True)
    email = fields.String(allow_none=True)
    anonymous = TrueOrFalse(load_default=False)


class DonationIn(StrictSchema):
    """`amount` is in minor units of `currency`: 25 roubles are `{"amount": 2500, "currency": "BYN"}`."""

    field_codes: ClassVar[Mapping[str, str]] = {
        "amount": "amount_invalid",
        "currency": "currency_invalid",
        "campaign": "campaign_invalid",
        "email": "email_invalid",
        "name": "name_invalid",
        "locale": "locale_invalid",
        "placement": "placement_invalid",
    }

    campaign = fields.String(required=True)
    amount = fields.Integer(required=True, strict=True, metadata={"example": 2500})
    currency = fields.String(required=True, metadata={"example": "BYN"})
    donor = fields.Nested(DonorIn, load_default=None, allow_none=True)
    locale = fields.String(load_default=None, allow_none=True, validate=OneOf(LOCALES))
    # Codes are read as people write them; one that is none of ours loses no gift, only its attribution.
    placement = fields.String(load_default=None, allow_none=True)

    @pre_load
    def refuse_booleans(self, data: object, **kwargs: object) -> object:
        # To Python (and so to marshmallow) true is the whole number 1; to a donor it is not a kopeck.
        if isinstance(data, dict) and isinstance(data.get("amount"), bool):
            return {**data, "amount": None}
        return data


class StickerCodeOut(Schema):
    """`redeemed_at` and `office` (its code) say when and where the pack was handed over; null until it was."""

    code = fields.String(attribute="shown")
    pack = fields.String(attribute="pack.code")
    status = fields.String()
    redeemed_at = fields.AwareDateTime(format="iso", allow_none=True)
    office = fields.String(attribute="redemption.office.code", dump_default=None, allow_none=True)


class DonationOut(Schema):
    """`checkout_url` is null when nothing is left to pay there."""

    id = fields.String(attribute="public_id")
    token = fields.String()
    status = fields.String()
    amount = fields.Integer(attribute="amount_minor")
    currency = fields.String()
    checkout_url = fields.String(allow_none=True)
    status_url = fields.String()


class DonationStateOut(DonationOut):
    receipt_number = fields.String(allow_none=True)
    sticker_codes = fields.List(fields.Nested(StickerCodeOut))


class _SumsOut(Schema):
    raised = fields.Integer()
    refunded = fields.Integer()
    disputed = fields.Integer()
    fees = fields.Integer()
    fees_pending = fields.Integer()
    fx = fields.Integer()
    earmarked = fields.Integer()


class FundOut(_SumsOut):
    """The fund that the campaign gives to, with the gifts of all its campaigns (`shared`: there is more than one).

    available = earmarked − fees_pending − spent.
    """

    code = fields.String()
    name = fields.String(metadata={"description": "In the language asked for"})
    shared = fields.Boolean()
    spent = fields.Integer()
    specialists_trained = fields.Integer()
    available = fields.Integer()


class TotalsOut(_SumsOut):
    """Amounts in minor units of `currency`, summed from the ledger; `donations` and `specialists_trained` are counts.

    earmarked = raised − refunded − disputed − fees + fx. `fees_pending` is the part of it whose fee the provider has
    not told yet. What is spent belongs to the fund: `spent` and `specialists_trained` of a campaign are null, and `fx`
    is 0, where several campaigns share the fund; `fund` has them.
    """

    currency = fields.String()
    goal = fields.Integer()
    donations = fields.Integer()
    spent = fields.Integer(allow_none=True)
    specialists_trained = fields.Integer(allow_none=True)
    fund = fields.Nested(FundOut)
    as_of = fields.AwareDateTime(format="iso")
