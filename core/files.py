"""Files that are there whole or not at all, and why a disk refused one."""

import errno
import os
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_whole(target: Path, content: bytes) -> None:
    """The file is there complete or not at all, also after a crash."""
    draft = target.with_name(f"{target.name}.{os.getpid()}.draft")
    try:
        with draft.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def reason_of(error: OSError) -> str:
    """`disk_full`, or which other trouble it was."""
    return "disk_full" if error.errno in FULL else f"disk: {errno.errorcode.get(error.errno or 0, 'unknown')}"
