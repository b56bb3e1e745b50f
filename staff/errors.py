"""What staff may be refused."""

from flask_babel import lazy_gettext as _l

from core.errors import Conflict, Invalid, NotFound


class EmailTaken(Conflict):
    code = "email_taken"
    text = _l("There is a member with this e-mail address already.")


class EmailInvalid(Invalid):
    code = "email_invalid"
    text = _l("This is not an e-mail address.")


class PasswordTooShort(Invalid):
    code = "password_too_short"
    text = _l("A password has from %(length)s to 128 characters.")


class RoleUnknown(Invalid):
    code = "role_unknown"
    text = _l("There is no such role.")


class NoSuchMember(NotFound):
    code = "no_such_member"
    text = _l("There is no member with this e-mail address.")
