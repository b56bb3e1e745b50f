"""What the bank's pages may refuse."""

from flask_babel import lazy_gettext as _l

from core.errors import Conflict, Invalid, NotFound


class UnknownBankAccount(NotFound):
    code = "bank_account_not_found"
    text = _l("There is no such bank account.")


class BankAccountTaken(Conflict):
    code = "bank_account_taken"
    text = _l("There is a bank account with this short name already.")


class CodeInvalid(Invalid):
    code = "bank_account_code_invalid"
    text = _l("A short name has up to 20 Latin letters, figures and dashes.")


class ColumnMissing(Invalid):
    code = "mapping_column_missing"
    text = _l("Say which column this is in the bank's file.")


class ColumnTwice(Invalid):
    code = "mapping_column_twice"
    text = _l("One column cannot be two things.")


class DayImpossible(Invalid):
    code = "bank_line_day_impossible"
    text = _l("The bank says %(day)s for this line. Nothing can be booked on such a day: ask the bank, and explain it.")


class AmountColumns(Invalid):
    code = "mapping_amount_columns"
    text = _l("Name either one column of amounts, or one of money in and one of money out.")


class ChoiceInvalid(Invalid):
    code = "mapping_choice_invalid"
    text = _l("Please choose one of the list.")


class ImportedBefore(Conflict):
    code = "statement_imported_before"
    text = _l("This very file was imported on %(day)s. Nothing was changed.")


class StatementTooLarge(Invalid):
    code, status = "statement_too_large", 413
    text = _l("This file is larger than %(megabytes)s MB: import shorter periods.")


class UnknownLine(NotFound):
    code = "bank_line_not_found"
    text = _l("There is no such line.")


class LineTaken(Conflict):
    code = "bank_line_matched"
    text = _l("This line, or what you chose for it, has been matched meanwhile. The page shows how it stands now.")


class NothingToMatch(Conflict):
    code = "bank_match_unknown"
    text = _l("Please choose what this line is.")


class NotMatched(Conflict):
    code = "bank_line_not_matched"
    text = _l("This line is not matched, so there is nothing to take back.")


class SentBack(Conflict):
    code = "bank_payout_sent_back"
    text = _l("Another line is taken for this payout being sent back. Take that match back first.")


class AmountsDiffer(Invalid):
    code = "bank_amounts_differ"
    text = _l("The line says %(line)s and the books say %(books)s: only equal amounts are matched here.")
