"""How many sticker packs each office has, and why.

Vocabulary
    StockLevel      how many packs of one design an office has now; never below zero
    StockMovement   one change of a level, with its reason, who and when; the sum of an office's movements is its level
    StockTransfer   packs on the way from one office to another; both sides confirm
    StockSheet      the shift-close sheet: what the system said and what was counted, pack by pack
    StockAlert      that a level fell to its low mark; open until the level is above it again
"""
