"""The inbox of provider events: verified, stored once, applied once, retried until applied, replayable."""
