"""The shape of what comes in about offices."""

import re

from core.i18n import DEFAULT_LOCALE, LOCALES

CODE = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,19}")
NAME_LIMIT, ADDRESS_LIMIT, REGION_LIMIT = 120, 250, 60
LIMITS = {
    **{f"name_{locale}": NAME_LIMIT for locale in LOCALES},
    **{f"address_{locale}": ADDRESS_LIMIT for locale in LOCALES},
    "region": REGION_LIMIT,
    "active": 10,
}

YES = {"yes", "1", "true", "да", "так", "y"}
NO = {"no", "0", "false", "нет", "не", "n"}

OPTIONAL_COLUMNS = {"active"}
OPTIONAL_CELLS = {
    "active",
    *(f"{what}_{locale}" for what in ("name", "address") for locale in LOCALES if locale != DEFAULT_LOCALE),
}
