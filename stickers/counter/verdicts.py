"""What a clerk is told of a code, in a word that has a colour, an icon and a sentence."""

from dataclasses import dataclass
from datetime import datetime

from core.errors import DomainError
from offices.models import Office
from staff.access import Actor
from stickers import codes
from stickers.counter import errors, guessing, queries, reading
from stickers.counter.services import why_not
from stickers.models import StickerPack

MOST_AT_ONCE = 8  # codes in one photo or on one page that are looked up

KINDS: dict[type[DomainError], str] = {
    errors.UnknownCode: "unknown",
    errors.AlreadyHandedOver: "redeemed",
    errors.CodeVoided: "voided",
    errors.CodeHeld: "held",
    errors.CodeReplaced: "replaced",
    errors.CodeExpired: "expired",
    errors.OtherCampaign: "other_campaign",
    errors.CodeIsDigital: "digital",
}


@dataclass(frozen=True)
class Verdict:
    """`kind` is `valid`, `empty` (valid, but the shelf is) or one of `KINDS`; `stock` is None where none ever was."""

    kind: str
    code: str
    pack: StickerPack | None = None
    refusal: DomainError | None = None
    stock: int | None = None

    @property
    def shown(self) -> str:
        return codes.show(self.code)


def verdict_on(code: str, *, office: Office, actor: Actor, now: datetime) -> Verdict:
    """Look a code up in its stored form. Raises what `guessing.look_up` raises, except that it is unknown."""
    try:
        found = guessing.look_up(code, office=office, actor=actor, now=now)
    except errors.UnknownCode as unknown:
        return Verdict("unknown", code, refusal=unknown)
    refusal = why_not(found, office.id, now)
    stock = queries.stock_of(office.id, found.code.pack_id)
    kind = KINDS[type(refusal)] if refusal else ("valid" if stock else "empty")
    return Verdict(kind, code, found.code.pack, refusal, stock)


def codes_in(texts: list[str], *, scanned: bool, office: Office, actor: Actor, now: datetime) -> list[str]:
    """The codes that QR codes or a person's typing mean, in stored form, each once.

    One that means none is passed over where another means some. Raises `MistypedCode`, `NotACode`, `UnknownPage`,
    `TooManyGuesses`.
    """
    found: list[str] = []
    refusal: DomainError | None = None
    for text in texts[:MOST_AT_ONCE]:
        try:
            read = reading.read(text, scanned=scanned)
            found += [read.code] if read.code else guessing.codes_on_page(read.token, office, actor, now)
        except (codes.MistypedCode, errors.NotACode, errors.UnknownPage) as each:
            refusal = refusal or each
    if not found:
        raise refusal or errors.NotACode(field="code")
    return list(dict.fromkeys(found))[:MOST_AT_ONCE]
