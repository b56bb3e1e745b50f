"""Console forms of packs: their texts, pictures and files; which of them are given out no longer."""
