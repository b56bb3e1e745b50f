"""Identifiers: what the outside sees of a row, and what only its owner may know."""

import secrets
import uuid

import uuid_utils.compat


def new_public_id() -> str:
    """An id that may stand in URLs, provider metadata and reports. Ordered by time, says nothing else."""
    return str(new_entry_id())


def new_entry_id() -> uuid.UUID:
    return uuid_utils.compat.uuid7()


def new_token() -> str:
    """A capability: whoever has it may look. 192 random bits, safe in a URL."""
    return secrets.token_urlsafe(24)
