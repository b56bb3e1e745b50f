"""Sticker packs and the codes that donors exchange for them.

Vocabulary
    StickerPack     a design: physical (handed over at an office) or digital (downloaded)
    StickerRule     which pack a campaign thanks with, from which amount
    RedemptionCode  good for one pack, once: issued ⇄ redeemed, issued ⇄ held, issued ⇄ voided, issued → replaced
    Redemption      a pack handed over for a code at an office; at most one of a code that is not undone
"""
