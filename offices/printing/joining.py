"""One PDF from many that Typst wrote, in the memory of one of them.

Libraries that join PDFs hold every object of the result and leave out the tags, without which a page cannot be read
aloud. Here objects are copied as they are and only renumbered; the trees of pages and of tags get a new root above
those of the parts. It reads what Typst writes (PDF 1.7 with a plain table of objects) and refuses anything else.
"""

import re
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

CATALOG, PAGES, TAGS, INFO, METADATA = range(1, 6)  # numbers of our own objects

_REFERENCE = re.compile(rb"\((?:[^\\()]|\\.)*\)|<[0-9A-F]+>|(\d+) 0 R", re.DOTALL)
_ENTRY_BYTES = 20  # of the table of objects


class NotOurs(ValueError):
    """The file is damaged, or no PDF as Typst writes them."""


class _Part:
    """One PDF of those to join."""

    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()
        try:
            self._read_table()
            catalog = self.head(self.catalog)
            self.pages = _number(catalog, b"/Pages")
            self.tags = _number(catalog, b"/StructTreeRoot")
            self.metadata = _number(catalog, b"/Metadata")
            self.page_count = _count(self.head(self.pages))
        except (IndexError, ValueError) as error:
            raise NotOurs(f"{path.name} is damaged") from error

    def _read_table(self) -> None:
        start = int(self.content[self.content.rindex(b"startxref") :].split()[1])
        head = re.compile(rb"xref\s+0 (\d+)\s*?\n").match(self.content, start)
        if head is None:
            raise NotOurs("a table of objects was expected")
        self.size = int(head[1])
        first = head.end()
        entries = (self.content[first + n * _ENTRY_BYTES :][:_ENTRY_BYTES] for n in range(self.size))
        self.offsets = {n: int(entry[:10]) for n, entry in enumerate(entries) if entry[17:18] == b"n"}
        ends = [*sorted(self.offsets.values())[1:], start]
        self._ends = dict(zip(sorted(self.offsets.values()), ends, strict=True))
        trailer = self.content[first + self.size * _ENTRY_BYTES :]
        self.catalog, self.info = _number(trailer, b"/Root"), _number(trailer, b"/Info")

    def body(self, number: int) -> tuple[bytes, bytes]:
        """An object as (what is before its stream, its stream with all that follows)."""
        offset = self.offsets[number]
        whole = self.content[offset : self._ends[offset]]
        whole = whole[whole.index(b"obj") + 3 :]
        cut = whole.find(b"stream")
        return (whole, b"") if cut < 0 else (whole[:cut], whole[cut:])

    def head(self, number: int) -> bytes:
        return self.body(number)[0]


def _number(text: bytes, key: bytes) -> int:
    found = re.search(re.escape(key) + rb" (\d+) 0 R", text)
    if found is None:
        raise NotOurs(f"{key.decode()} is missing")
    return int(found[1])


def _count(pages: bytes) -> int:
    found = re.search(rb"/Count (\d+)", pages)
    if found is None:
        raise NotOurs("pages are not counted")
    return int(found[1])


def _renumber(text: bytes, place: Callable[[int], int]) -> bytes:
    return _REFERENCE.sub(lambda found: found[0] if found[1] is None else b"%d 0 R" % place(int(found[1])), text)


class _Writer:
    def __init__(self, out: IO[bytes]) -> None:
        self.out = out
        self.offsets = array("Q", [0] * (METADATA + 1))
        self.at = 0
        self.page_count = 0
        self.kids: list[int] = []
        self.tagged: list[bytes] = []
        self.parents: list[int] = []
        self.catalog = b""
        self.metadata = (b"", b"")
        self._write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")

    def _write(self, content: bytes) -> None:
        self.out.write(content)
        self.at += len(content)

    def put(self, number: int, *content: bytes) -> None:
        while len(self.offsets) <= number:
            self.offsets.append(0)
        self.offsets[number] = self.at
        self._write(b"%d 0 obj\n" % number)
        for piece in content:
            self._write(piece.strip() if piece is content[0] else piece)
        if not content[-1].rstrip().endswith(b"endobj"):
            self._write(b"\nendobj\n")

    def add(self, part: _Part) -> None:
        """Copy the objects of `part`; its roots become branches of ours."""
        base = len(self.offsets) - 1

        def renumbered(text: bytes) -> bytes:
            return _REFERENCE.sub(
                lambda found: found[0] if found[1] is None else b"%d 0 R" % place(int(found[1])), text
            )

        def place(number: int) -> int:
            return TAGS if number == part.tags else base + number

        if not self.kids:
            self._take_over(part)
        left_out = (part.catalog, part.info, part.metadata, part.tags)
        for number in sorted(part.offsets.keys() - set(left_out)):
            head, stream = part.body(number)
            head = renumbered(head)
            if number == part.pages:
                head = head.replace(b"/Type/Pages", b"/Type/Pages/Parent %d 0 R" % PAGES, 1)
            elif b"/StructParents " in head:
                head = re.sub(
                    rb"/StructParents (\d+)",
                    lambda found: b"/StructParents %d" % (int(found[1]) + self.page_count),
                    head,
                )
            self.put(base + number, head, stream)
        self._branch_tags(renumbered(part.head(part.tags)), base + part.tags, part.page_count)
        self.kids.append(base + part.pages)
        self.page_count += part.page_count

    def _take_over(self, part: _Part) -> None:
        """Title, language and the like are those of the first part."""
        self.put(INFO, part.head(part.info))
        self.metadata = part.body(part.metadata)
        roots = {part.pages: PAGES, part.tags: TAGS, part.metadata: METADATA}
        catalog = part.head(part.catalog).replace(b"endobj", b"")
        self.catalog = _renumber(catalog, roots.__getitem__)

    def _branch_tags(self, root: bytes, number: int, pages: int) -> None:
        """The part's tags hang below our root; which tags a page has stands in a leaf of our own number tree."""
        documents = re.search(rb"/K\[([^\]]*)\]", root)
        parents = re.search(rb"/ParentTree<</Nums\[([^\]]*)\]", root)
        if documents is None or parents is None:
            raise NotOurs("tags are missing")
        self.tagged.append(documents[1])
        pairs = re.findall(rb"(\d+) (\d+ 0 R)", parents[1])
        nums = b" ".join(b"%d %s" % (int(key) + self.page_count, tags) for key, tags in pairs)
        limits = b"%d %d" % (self.page_count, self.page_count + pages - 1)
        self.put(number, b"<</Limits[%s]/Nums[%s]>>" % (limits, nums))
        self.parents.append(number)

    def finish(self) -> None:
        def refs(numbers: Iterable[int]) -> bytes:
            return b" ".join(b"%d 0 R" % number for number in numbers)

        self.put(CATALOG, self.catalog)
        self.put(PAGES, b"<</Type/Pages/Count %d/Kids[%s]>>" % (self.page_count, refs(self.kids)))
        tags = b"<</Type/StructTreeRoot/K[%s]/ParentTree<</Kids[%s]>>/ParentTreeNextKey %d>>"
        self.put(TAGS, tags % (b" ".join(self.tagged), refs(self.parents), self.page_count))
        head, stream = self.metadata
        self.put(METADATA, head, stream)
        start, size = self.at, len(self.offsets)
        self._write(b"xref\n0 %d\n" % size)
        lines = (b"%010d 00000 n \n" % at if at else b"0000000000 65535 f \n" for at in self.offsets)
        for line in lines:
            self._write(line)
        self._write(b"trailer\n<</Size %d/Root %d 0 R/Info %d 0 R>>\n" % (size, CATALOG, INFO))
        self._write(b"startxref\n%d\n%%%%EOF\n" % start)


def join(parts: Iterable[Path], target: IO[bytes], step: Callable[[], None] = lambda: None) -> int:
    """Write `parts` to `target` as one PDF, calling `step` after each; how many pages it has. Raises `NotOurs`."""
    writer = _Writer(target)
    for path in parts:
        writer.add(_Part(path))
        step()
    writer.finish()
    return writer.page_count
