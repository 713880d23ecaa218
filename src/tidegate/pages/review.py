"""A page to look at doubtful labels, one after another."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.pages import bundled, document


def review_page(rows: Sequence[dict[str, object]], *, labels: Sequence[str], source: str) -> str:
    """Return a page on which each row is kept, changed or skipped, and the changes are saved.

    Parameters
    ----------
    rows : row, text, column, given, probability and likeliest of each, in the order to be shown
    labels : that a row may have
    source : what the rows came from

    Examples
    --------
    >>> "Labels to look at again" in review_page([], labels=("0", "1"), source="rows.csv")
    True
    """
    data = {"rows": list(rows), "labels": list(labels), "source": source}
    return document(title=f"Review of {source}", data=data, script=bundled(("dom", "review")))
