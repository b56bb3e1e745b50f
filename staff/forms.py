"""The sign-in library's forms, with our rules."""

from typing import Any

from flask import g
from flask_babel import lazy_gettext as _l
from flask_security.forms import ChangePasswordForm, LoginForm, VerifyForm
from wtforms import EmailField, Field, Form, PasswordField, ValidationError
from wtforms.validators import DataRequired

from staff.access import PREFIX, remember_sign_in


def _guessed(form: Form, accepted: bool) -> bool:
    """Tell whether the password was looked at and wrong; other faults of a form, such as where `next` leads, are found
    before it is looked at, or after it proved right."""
    g.guess_was_wrong = not accepted and any(field.errors for field in form if field.name in ("email", "password"))
    return accepted


class SignInForm(LoginForm):
    email = EmailField(_l("E-mail"), validators=[DataRequired(_l("Please enter your e-mail address."))])
    password = PasswordField(_l("Password"), validators=[DataRequired(_l("Please enter the password."))])
    remember = None  # a counter PC is shared

    def validate_next(self, field: Field) -> None:
        """Only to a page of the console: anything else could be an open redirect."""
        if field.data and not is_console_path(field.data):
            field.data = ""
            raise ValidationError(_l("This link leads away from here. Please sign in."))

    def validate(self, **options: Any) -> bool:
        typed = (self.email.data or "").strip().lower()[:254]
        self.email.data = typed if typed.isprintable() else "?"  # no database looks for what cannot be printed
        self.password.data = (self.password.data or "")[:1024]
        if not _guessed(self, super().validate(**options)):
            return False
        remember_sign_in()
        return True


class NewPasswordForm(ChangePasswordForm):
    """As the library's, with an upper limit before anything is hashed."""

    def validate(self, **options: Any) -> bool:
        for field in (self.password, self.new_password, self.new_password_confirm):
            field.data = (field.data or "")[:1024]
        return _guessed(self, bool(super().validate(**options)))


class ConfirmForm(VerifyForm):
    """The password again, before something that a thief of the session must not do."""

    password = PasswordField(_l("Password"), validators=[DataRequired(_l("Please enter the password."))])

    def validate_next(self, field: Field) -> None:
        if field.data and not is_console_path(field.data):
            field.data = ""
            raise ValidationError(_l("This link leads away from here. Please sign in."))

    def validate(self, **options: Any) -> bool:
        self.password.data = (self.password.data or "")[:1024]
        return _guessed(self, bool(super().validate(**options)))


def is_console_path(path: str) -> bool:
    plain = path.isascii() and path.isprintable() and "\\" not in path and ".." not in path
    return plain and (path == PREFIX or path.startswith((f"{PREFIX}/", f"{PREFIX}?")))
