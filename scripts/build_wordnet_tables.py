"""Packs WordNet's word list into the tables that `tidegate.text.lesson` ships.

Takes the folder of WordNet 3.0's database files; writes `wordnet.txt.gz` and, when given the
package's copyright file, `WORDNET-LICENSE.txt`. Knows nothing of the pipeline that reads them.

The files come from Debian's package `wordnet-base`, which need not be installed:

    apt-get update && apt-get download wordnet-base
    dpkg -x wordnet-base_*.deb unpacked
    python scripts/build_wordnet_tables.py unpacked/usr/share/wordnet \\
        --copyright unpacked/usr/share/doc/wordnet-base/copyright

The tables are a gzipped ASCII text of tab-separated lines, sorted, so that the same words give the
same bytes:

    index       vn   abandon  ache  ...       lemmas that are verbs and nouns, and nothing else
    exceptions  v    abode abide   ...        an irregular form and its lemmas, joined by spaces

Only single words are kept: a lemma with an underscore ("hot_dog") is a compound, and compounds
would nearly double the tables. The few that are an irregular single form's lemma stay.

`--check` compares the words instead of writing them.
"""

from __future__ import annotations

import argparse
import gzip
import io
import sys
from collections import defaultdict
from pathlib import Path

FILE_OF_POS = {"v": "verb", "n": "noun", "a": "adj", "r": "adv"}
DATA = Path(__file__).parents[1] / "src" / "tidegate" / "text" / "tables"
MAX_BYTES = 400_000

NOTICE = """\
The file wordnet.txt.gz beside this notice is made from the database of WordNet 3.0: its single-word
index lemmas and its lists of irregular forms, packed by scripts/build_wordnet_tables.py from
Debian's package wordnet-base. It was modified in that way only. WordNet's licence follows, as that
package's copyright file gives it; the package's own files under debian/ are not used here.

"""


def read_index(folder: Path) -> dict[str, str]:
    """Return every lemma we keep with the parts of speech it has, in the order v, n, a, r."""
    parts: defaultdict[str, str] = defaultdict(str)
    irregular = {pos: read_exceptions(folder, pos).values() for pos in FILE_OF_POS}
    reached = {lemma for lists in irregular.values() for lemmas in lists for lemma in lemmas}
    for pos, name in FILE_OF_POS.items():
        for line in (folder / f"index.{name}").read_text("ascii").splitlines():
            lemma = line.split(" ", 1)[0]
            if lemma and ("_" not in lemma or lemma in reached):  # "" is a line of the licence
                parts[lemma] += pos
    return dict(parts)


def read_exceptions(folder: Path, pos: str) -> dict[str, list[str]]:
    """Return irregular form → lemmas; a form listed twice keeps its last entry, as in NLTK."""
    forms: dict[str, list[str]] = {}
    for line in (folder / f"{FILE_OF_POS[pos]}.exc").read_text("ascii").splitlines():
        form, *lemmas = line.split()
        forms[form] = lemmas
    return {form: lemmas for form, lemmas in forms.items() if "_" not in form}


def tables(folder: Path) -> str:
    """Return the text that is packed."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for lemma, parts in read_index(folder).items():
        groups[parts].append(lemma)
    lines = ["\t".join(["index", parts, *sorted(groups[parts])]) for parts in sorted(groups)]
    for pos in FILE_OF_POS:
        entries = sorted(read_exceptions(folder, pos).items())
        lines.append("\t".join(["exceptions", pos, *(" ".join([f, *ls]) for f, ls in entries)]))
    return "\n".join(lines) + "\n"


def pack(text: str) -> bytes:
    """Gzip without a time or a file name, so that the bytes depend on the words alone."""
    buffer = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=9, fileobj=buffer, mtime=0) as stream:
        stream.write(text.encode("ascii"))
    return buffer.getvalue()


def licence(copyright_file: Path) -> str:
    """Return the notice: the paragraph on `Files: *` of a Debian copyright file, undented."""
    text = copyright_file.read_text("utf-8")
    paragraph = next(p for p in text.split("\n\n") if p.startswith("Files: *"))
    source = next(line for line in text.splitlines() if line.startswith("Source: "))
    # The machine-readable format indents the licence by one blank and writes an empty line as " ."
    lines = [line.removeprefix(" ") for line in paragraph.splitlines()[1:]]
    return NOTICE + source + "\n" + "\n".join("" if x == "." else x for x in lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the tables, or compare them."""
    parser = argparse.ArgumentParser(description="Pack WordNet 3.0's single words and exceptions.")
    parser.add_argument("folder", type=Path, help="WordNet's files, such as /usr/share/wordnet")
    parser.add_argument("--copyright", type=Path, help="the package's copyright file")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args(arguments)

    text = tables(options.folder)
    target = DATA / "wordnet.txt.gz"
    if options.check:
        same = target.exists() and gzip.decompress(target.read_bytes()) == text.encode("ascii")
        print("same words" if same else f"{target.name} differs: run this script without --check")
        return 0 if same else 1
    packed = pack(text)
    if len(packed) > MAX_BYTES:
        print(f"{len(packed)} bytes packed, more than the {MAX_BYTES} we ship", file=sys.stderr)
        return 1
    target.write_bytes(packed)
    print(f"{target.name}: {len(packed)} bytes, {len(text)} unpacked")
    if options.copyright:
        (DATA / "WORDNET-LICENSE.txt").write_text(licence(options.copyright), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
