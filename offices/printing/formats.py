"""The formats offices print. How large a symbol must be follows from how far away its reader stands."""

from dataclasses import dataclass

MEDIUM_POSTER, MEDIUM_CARD, MEDIUM_STICKER = "office_poster", "counter_card", "other"


@dataclass(frozen=True)
class Format:
    """Lengths of the page are mm; those of what is on it are mm of the layout, which `unit` brings to the page.

    `symbol`: its side, quiet zone included; `address_room` and `address_size`: of the short address;
    `per_page`: posters on a page, each with its own code.
    """

    key: str
    width: float
    height: float
    layout: str
    medium: str
    symbol: float
    address_room: float
    address_size: float
    per_page: int = 1

    @property
    def unit(self) -> float:
        return self.width / 210

    def module(self, modules: int) -> float:
        """Millimetres of one module of a symbol of `modules` with its quiet zone."""
        return self.symbol * self.unit / modules


# At 94 mm on A4 a module is 2.5 mm, read by phones from two metres; on the A6 card 1.5 mm, read from the hand.
FORMATS = {
    format.key: format
    for format in (
        Format("a3", 297, 420, "poster", MEDIUM_POSTER, 94, 90, 6),
        Format("a4", 210, 297, "poster", MEDIUM_POSTER, 94, 90, 6),
        Format("a5", 148, 210, "poster", MEDIUM_POSTER, 94, 90, 6),
        Format("a6", 105, 148, "card", MEDIUM_CARD, 108, 104, 7.4),
        Format("labels", 210, 297, "sheet", MEDIUM_STICKER, 34, 25, 2.5, per_page=21),
    )
}
