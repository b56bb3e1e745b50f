"""The counter: a code is shown, looked up, and a pack is handed over for it.

Vocabulary
    Verdict         what a clerk is told of a code: valid, handed over already, void …
    Redemption      a pack handed over (stickers.models); undone within minutes when it comes back
    CodeTry         that a code was shown at an office
    CounterAlert    something odd at a counter that the campaign team should look at
    nonce           names one press of the button: the same one again is the same redemption
"""
