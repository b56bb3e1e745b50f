"""What can be refused about packs."""

from flask_babel import lazy_gettext as _l

from core.errors import Conflict, Invalid


class PackCodeTaken(Conflict):
    code = "pack_code_taken"
    text = _l("Another pack has this code.")


class PackNeeded(Conflict):
    code = "pack_needed"
    text = _l("Codes, rules or stock belong to this pack: it cannot be deleted. Retire it instead.")


class PictureMissing(Invalid):
    code = "pack_picture_missing"
    text = _l("Please choose a picture.")


class PictureUnreadable(Invalid):
    code = "pack_picture_unreadable"
    text = _l("This is no picture that we take. Please choose a PNG, JPEG or WebP file.")


class PictureTooLarge(Invalid):
    code = "pack_picture_too_large"
    text = _l("This picture is too large: at most %(megabytes)s MB and %(pixels)s million pixels.")


class PictureTooSmall(Invalid):
    code = "pack_picture_too_small"
    text = _l("This picture is too small: at least %(width)s by %(height)s pixels are needed.")


class FileMissing(Invalid):
    code = "pack_file_missing"
    text = _l("A digital pack needs the file that donors get.")


class FileUnknown(Invalid):
    code = "pack_file_unknown"
    text = _l("This is no file that we take. Please choose a ZIP, PDF, PNG, JPEG, WebP or GIF file.")


class FileUnsafe(Invalid):
    code = "pack_file_unsafe"
    text = _l("This ZIP file is broken, locked by a password, or has names that lead out of its folder.")


class FileTooLarge(Invalid):
    code = "pack_file_too_large"
    text = _l("This file is too large: at most %(megabytes)s MB.")
