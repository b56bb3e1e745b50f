"""Offices, the places where links hang, and the posters printed for them.

Vocabulary
    Office      an MTS office
    Placement   a place where a short link hangs (poster, counter card, billboard, blogger …), with a code of its own
    Poster      a printed placement
    PrintBatch  one print run: which placements, in which format, how far it has come
"""
