"""The sign-in library's messages in our own words, so that they exist in all three languages.

The library has no Belarusian. Every message that its views can show here is one of ours; a test goes through them.
"""

from typing import Any

from flask_babel import lazy_gettext as _l

WRONG = _l("E-mail or password is wrong.")  # one answer, so that nobody learns which addresses are known

MESSAGES: dict[str, tuple[Any, str]] = {
    "GENERIC_AUTHN_FAILED": (WRONG, "bad"),
    "USER_DOES_NOT_EXIST": (WRONG, "bad"),
    "DISABLED_ACCOUNT": (WRONG, "bad"),
    "INVALID_PASSWORD": (_l("This is not your present password."), "bad"),
    "INVALID_REDIRECT": (_l("This link leads away from here. Please sign in."), "bad"),
    "EMAIL_NOT_PROVIDED": (_l("Please enter your e-mail address."), "bad"),
    "INVALID_EMAIL_ADDRESS": (_l("This is not an e-mail address."), "bad"),
    "PASSWORD_NOT_PROVIDED": (_l("Please enter the password."), "bad"),
    "PASSWORD_INVALID_LENGTH": (_l("A password has from %(length)s to 128 characters."), "bad"),
    "PASSWORD_TOO_SIMPLE": (_l("This password is too easy to guess."), "bad"),
    "PASSWORD_IS_THE_SAME": (_l("The new password must differ from the old one."), "bad"),
    "RETYPE_PASSWORD_MISMATCH": (_l("The two passwords differ."), "bad"),
    "PASSWORD_CHANGE": (_l("The password is changed. Other devices are signed out."), "good"),
    "INVALID_INPUT": (_l("Please check what you entered."), "bad"),
    "REAUTHENTICATION_REQUIRED": (_l("Please confirm that it is you."), "bad"),
    "REAUTHENTICATION_SUCCESSFUL": (_l("Thank you. Please go on."), "good"),
    "UNAUTHENTICATED": (_l("Please sign in."), "bad"),
    "UNAUTHORIZED": (_l("You may not do this."), "bad"),
}


def settings() -> dict[str, Any]:
    return {f"SECURITY_MSG_{name}": message for name, message in MESSAGES.items()}
