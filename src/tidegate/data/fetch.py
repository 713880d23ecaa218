"""The reference data, fetched or checked: the tweets of the competition, and the CC0 set of them.

Takes a file that Kaggle gave, gives the same rows in a place of one's own, or says which steps are
left to a person: an account, the competition's rules, a token, a network.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tidegate.data.outputs import placed
from tidegate.data.records import RecordFile, open_records
from tidegate.errors import DataError, MissingExtraError

Source = Literal["competition", "cc0"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file on Kaggle, and what is known of it.

    Attributes
    ----------
    handle : as Kaggle names it
    file : the file in it
    page : where a person finds it
    rows : how many it has
    sha256 : of its texts and labels, in order; empty where it is not known
    """

    handle: str
    file: str
    page: str
    rows: int
    sha256: str = ""


COLUMNS = ("id", "keyword", "location", "text", "target")
SOURCES: dict[Source, Wanted] = {
    "competition": Wanted(
        handle="nlp-getting-started", file="train.csv", rows=7613,
        page="kaggle.com/competitions/nlp-getting-started",
        sha256="3759ee8fa19ad800014210c284a78523691fec8b6a8bbcb390f6ebae12fa405b",
    ),
    "cc0": Wanted(
        handle="vstepanenko/disaster-tweets", file="tweets.csv", rows=11370,
        page="kaggle.com/datasets/vstepanenko/disaster-tweets",
    ),
}  # fmt: skip
WARNING = (
    "the CC0 set holds the competition's test rows, too, with labels: a model that learned from it "
    "must not be scored on that competition"
)


def download(source: Source) -> Path:
    """Return where Kaggle's file lies, downloaded by kagglehub.

    Raises
    ------
    MissingExtraError
        kagglehub is not installed.
    DataError
        It could not be downloaded: one line with the steps that a person must take.
    """
    if importlib.util.find_spec("kagglehub") is None:
        raise MissingExtraError(needed_for="fetch", missing="kagglehub", extra="fetch")
    kagglehub: Any = importlib.import_module("kagglehub")
    wanted = SOURCES[source]
    get = kagglehub.competition_download if source == "competition" else kagglehub.dataset_download
    try:
        return Path(get(wanted.handle, path=wanted.file))
    # kagglehub's own faults, those of requests, and whatever else: none of them is ours.
    except Exception as fault:  # noqa: BLE001
        first = (str(fault).strip() or type(fault).__name__).splitlines()[0]
        raise DataError(f"fetch: {first[:200]}; {steps(source)}") from None


def steps(source: Source) -> str:
    """Return what a person must do, as one sentence.

    >>> steps("cc0")[:56]
    'sign in at kaggle.com, open kaggle.com/datasets/vstepane'
    """
    wanted = SOURCES[source]
    rules = ", accept the competition's rules under “Rules”" if source == "competition" else ""
    return (
        f"sign in at kaggle.com, open {wanted.page}{rules}, and either make a token (Settings, "
        f"API) and put it in KAGGLE_USERNAME and KAGGLE_KEY, or download {wanted.file} by "
        "hand and give it with --file"
    )


def check(path: Path, source: Source) -> RecordFile:
    """Return a file if it is the one that is wanted.

    Raises
    ------
    DataError
        It cannot be read, or is another file.
    """
    wanted = SOURCES[source]
    file = open_records(path)
    missing = [name for name in COLUMNS if name not in file.columns]
    if missing:
        raise DataError(
            f"{file.name}: found the columns {', '.join(file.columns[:8])}; {wanted.file} has "
            f"{', '.join(COLUMNS)}: download it anew"
        )
    found, n = hashlib.sha256(), 0
    for record in file.records(("text", "target")):
        if record.fault:
            raise DataError(f"{file.name}: row {record.row}: {record.fault}; download it anew")
        cells = "\0".join(str(record.values[name]) for name in ("text", "target"))
        found.update(f"{cells}\0".replace("\r\n", "\n").encode("utf-8", "surrogatepass"))
        n += 1
    if n != wanted.rows:
        other = "; it has the rows of the test file" if n == 3263 else ""
        raise DataError(
            f"{file.name}: found {n} rows, where {wanted.file} of {wanted.page} has {wanted.rows}"
            f"{other}; download it anew"
        )
    if wanted.sha256 and found.hexdigest() != wanted.sha256:
        raise DataError(
            f"{file.name}: its texts or labels are not those of {wanted.file} (SHA-256 of both "
            f"columns {found.hexdigest()[:12]}…, expected {wanted.sha256[:12]}…); download it anew"
        )
    return file


def copy(path: Path, output: Path) -> None:
    """Copy a checked file, whole or not at all."""
    with path.open("rb") as source, placed(output) as target:
        while block := source.read(1 << 20):
            target.write(block)
