"""What staff may be refused."""

from flask_babel import lazy_gettext as _l

from core.errors import Conflict, DomainError, Invalid, NotFound, TooMany


class EmailTaken(Conflict):
    code = "email_taken"
    text = _l("There is a member with this e-mail address already.")


class EmailInvalid(Invalid):
    code = "email_invalid"
    text = _l("This is not an e-mail address.")


class PasswordTooShort(Invalid):
    code = "password_too_short"
    text = _l("A password has from %(length)s to 128 characters.")


class PasswordObvious(Invalid):
    code = "password_obvious"
    text = _l(
        "This password is too easy to guess: it has your name or the campaign's, common words, or the same again and "
        "again. Take four words that do not belong together."
    )


class RoleUnknown(Invalid):
    code = "role_unknown"
    text = _l("There is no such role.")


class NoSuchMember(NotFound):
    code = "no_such_member"
    text = _l("There is no member with this e-mail address.")


class TokenInvalid(DomainError):
    """One answer for no token, an unknown, an expired, a revoked one and one of somebody who works here no longer."""

    code, status = "token_invalid", 401
    text = _l("A staff token that is in force is needed here (Authorization: Bearer …).")

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="staff", error="invalid_token"'}


class ScopeMissing(DomainError):
    code, status = "scope_missing", 403
    text = _l("This token may not do this: it lacks %(scope)s.")

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": f'Bearer realm="staff", error="insufficient_scope", scope="{self.values["scope"]}"'}


class Forbidden(DomainError):
    code, status = "forbidden", 403
    text = _l("You may not do this.")


class LabelNeeded(Invalid):
    code = "label_needed"
    text = _l("Please say what this token is for, in at most %(length)s characters.")


class LabelTaken(Conflict):
    code = "label_taken"
    text = _l("You have a token of this name already. Choose another name, or revoke that one.")


class ScopeUnknown(Invalid):
    code = "scope_unknown"
    text = _l("Please choose what this token may do.")


class ScopeNotYours(Invalid):
    code = "scope_not_yours"
    text = _l("Your roles do not allow this, so a token of yours cannot do it either.")


class ExpiryPast(Invalid):
    code = "expiry_past"
    text = _l("The last day must lie ahead.")


class NoSuchToken(NotFound):
    code = "no_such_token"
    text = _l("There is no such token.")


class LinkDead(Conflict):
    code, status = "link_dead", 410
    text = _l("This link is good no longer: it was used, withdrawn or is too old.")


class NameMissing(Invalid):
    code = "name_missing"
    text = _l("Please write your name.")


class AlreadyJoined(Conflict):
    code = "already_joined"
    text = _l("This member has joined already.")


class NotJoined(Conflict):
    code = "not_joined"
    text = _l("This member was invited and has not joined yet.")


class LastAdmin(Conflict):
    code = "last_admin"
    text = _l("This is the last administrator who can sign in. Make somebody else one first.")


class LockedOut(TooMany):
    """Too many guesses. `values` hold when the next one is taken, and in how many seconds."""

    code = "locked_out"
    text = _l("Too many wrong attempts. Please try again after %(time)s.")

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.values["seconds"])}


class WrongCode(Invalid):
    code = "wrong_code"
    text = _l("This code is not right, or was used already. Please type the one that the app shows now.")


class WrongRecoveryCode(Invalid):
    code = "wrong_recovery_code"
    text = _l("This is none of your recovery codes, or it was used already.")


class PasskeyRefused(Invalid):
    code = "passkey_refused"
    text = _l("The passkey was not accepted. Please try again.")


class PasskeyNameTaken(Invalid):
    code = "passkey_name_taken"
    text = _l("You have a passkey of this name already.")


class PasskeyKnown(Invalid):
    code = "passkey_known"
    text = _l("This passkey is here already.")


class NoSecondFactor(Conflict):
    code = "no_second_factor"
    text = _l("This member has no second factor.")


class SecondFactorNeeded(Conflict):
    code = "second_factor_needed"
    text = _l("Your role needs a second factor: set up another one before you take this one away.")


class SetupTooOld(Conflict):
    code = "setup_too_old"
    text = _l("This took too long. Please begin anew.")


class OwnAccount(Conflict):
    code = "own_account"
    text = _l("This is your own account. Please ask another administrator, so that nobody locks themselves out.")


class PasswordsDiffer(Invalid):
    code = "passwords_differ"
    text = _l("The two passwords differ.")


class EmailIsTheSame(Invalid):
    code = "email_is_the_same"
    text = _l("This is your address already.")
