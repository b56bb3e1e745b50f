"""What roles, states and scopes are called in the console."""

from flask_babel import lazy_gettext as _l

ZONE = "Europe/Minsk"  # of the times the console shows

ROLE_NAMES = {
    "office": _l("Office"),
    "finance": _l("Finance"),
    "campaign": _l("Campaign"),
    "admin": _l("Administration"),
}

ROLE_NOTES = {
    "office": _l("Hands over sticker packs, keeps the stock and prints posters of their own office."),
    "finance": _l("Sees and exports what came in, what went back and what was spent; reconciles and records payments."),
    "campaign": _l("Keeps campaigns, packs, offices, links and resources; works for all offices."),
    "admin": _l("What the campaign team does, and who works here, with which rights."),
}

STATE_NAMES = {"active": _l("Active"), "invited": _l("Invited"), "disabled": _l("Disabled")}

SCOPE_NAMES = {
    "codes:redeem": _l("Hand over packs for codes, and undo it"),
    "stock:read": _l("Read the stock"),
    "stock:write": _l("Record what is received, counted or damaged"),
    "finance:read": _l("Read figures and exports of finance"),
}
