"""All checks of a data set, one after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher

import numpy as np

from tidegate.data.checks import duplicates, giveaways, wording
from tidegate.data.checks.findings import (
    MOST_EXAMPLES,
    Example,
    Finding,
    by_gravity,
    counted,
    examples_of,
    label_of,
)
from tidegate.data.dataset import Dataset, Indices
from tidegate.data.labels import plain_label
from tidegate.data.splits import label_counts

Tokenize = Callable[[str], Sequence[str]]

FEW_A_CLASS = 10  # rows: fewer can be neither learned nor scored well
_MOST_READ = 20_000  # rows that tokens, scripts and languages are estimated from
_NAMED = 5  # labels, columns or words named in a sentence
_LONG_WORDS = 100  # words: longer messages are outliers, where the usual one is ten times shorter
_LONG_TIMES = 10
_UNEVEN = 20  # times as many rows in the largest class as in the smallest
_ALIKE = 0.85  # likeness of two labels' names from which one may be a slip of the other
_RARE = 0.05  # times the other's rows
_SPREAD = 2_654_435_761  # 2³² by the golden ratio: rows at even distances go to all folds alike
_SOME = 0.01  # share of the rows from which a second script or language is told


def check_dataset(
    dataset: Dataset,
    *,
    tokenize: Tokenize,
    limit: int | None = None,
    against: Dataset | None = None,
    others: tuple[Dataset, dict[str, Sequence[str]]] | None = None,
) -> list[Finding]:
    """Return what is wrong with a data set, the gravest first.

    Parameters
    ----------
    tokenize : how the model will cut a message into tokens
    limit : how many tokens of a message the model reads; None for all
    against : another file, of rows to test on or to learn from, that should share no message
    others : rows of the data set, and their cells in the file's other columns; see `other_columns`

    Examples
    --------
    >>> from tidegate.data.dataset import from_lists
    >>> found = check_dataset(from_lists(["Fire!", "fire", "sun"], [1, 0, 0]), tokenize=str.split)
    >>> [f.name for f in found][:1]
    ['contradicting_labels']
    """
    texts = duplicates.read_texts(dataset.texts)
    first = duplicates.first_of(texts)
    found = [
        *_repeats(dataset, first),
        *_near(dataset, texts, first),
        *_empty(dataset, texts.empty),
        *_leaks(dataset, texts, against),
        *_classes(dataset),
        *_words(dataset),
        *_columns(others),
        *_damage(dataset),
        *_written(dataset),
        *_tokens(dataset, first, tokenize, limit),
    ]
    return by_gravity(found)


def _repeats(dataset: Dataset, first: Indices) -> Iterator[Finding]:
    repeated = np.flatnonzero(first != np.arange(len(first)))
    torn = duplicates.torn(dataset, first)
    if len(torn):
        order = sorted(torn, key=lambda row: -int((first == row).sum()))[:2]
        members = np.concatenate(
            [_one_a_label(dataset, np.flatnonzero(first == row)) for row in order]
        )
        yield Finding(
            name="contradicting_labels", grade="problem", count=len(torn),
            what=f"Different labels are given to the rows of {counted(len(torn), 'message')}.",
            cure="Decide on one label for each, or leave them out: a model can learn only one.",
            examples=examples_of(dataset, members),
        )  # fmt: skip
    if len(repeated):
        yield Finding(
            name="repeated_rows", grade="note", count=len(repeated),
            what=f"An earlier message is repeated in {counted(len(repeated), 'row')} (case, links, "
            "mentions, punctuation and spaces aside).",
            cure="Tidegate keeps them on one side of every split; other tools may not.",
            examples=_pairs(dataset, repeated, first),
        )  # fmt: skip


def _one_a_label(dataset: Dataset, members: Indices) -> Indices:
    """Return of rows that repeat one another the first with each label, at most three."""
    seen: dict[str, int] = {}
    for row in members.tolist():
        seen.setdefault(label_of(dataset, row), row)
    return np.array(list(seen.values())[:3], np.int64)


def _near(dataset: Dataset, texts: duplicates.Texts, first: Indices) -> Iterator[Finding]:
    nearly = duplicates.nearly_first_of(texts, first)
    # A row that repeats an earlier one word for word is counted there, not here.
    alone = first == np.arange(len(first))
    found = np.flatnonzero((nearly != np.arange(len(first))) & alone)
    if not len(found):
        return
    differs = (_targets(dataset)[found] != _targets(dataset)[nearly[found]]).any(axis=1)
    yield Finding(
        name="near_duplicates", grade="warning" if differs.any() else "note", count=len(found),
        what=f"By one word at most an earlier message differs from {counted(len(found), 'row')}; "
        f"{int(differs.sum()):,} of them carry another label.",
        cure="Where they come from one source, held-out figures flatter: leave some out.",
        examples=_pairs(dataset, found[np.argsort(~differs, kind="stable")], nearly),
    )  # fmt: skip


def _targets(dataset: Dataset) -> Indices:
    return dataset.targets.reshape(len(dataset), -1)


def _pairs(dataset: Dataset, found: Indices, first: Indices) -> tuple[Example, ...]:
    """Return some rows, each behind the earlier row that it is like."""
    both = [(int(first[row]), int(row)) for row in found[: MOST_EXAMPLES // 2]]
    return examples_of(dataset, list(dict.fromkeys(row for pair in both for row in pair)))


def _empty(dataset: Dataset, empty: np.ndarray) -> Iterator[Finding]:
    found = np.flatnonzero(empty)
    if len(found):
        yield Finding(
            name="empty_messages", grade="warning", count=len(found),
            what=f"Without words: {counted(len(found), 'row')}, empty or of links, "
            "mentions and signs alone.",
            cure="Leave them out, unless such messages arrive later too.",
            examples=examples_of(dataset, found),
        )  # fmt: skip


def _leaks(dataset: Dataset, texts: duplicates.Texts, against: Dataset | None) -> Iterator[Finding]:
    if against is None:
        return
    other = duplicates.read_texts(against.texts)
    shared = np.flatnonzero(np.isin(texts.whole, other.whole[~other.empty]) & ~texts.empty)
    if not len(shared):
        return
    place = {int(h): k for k, h in reversed(list(enumerate(other.whole.tolist())))}
    twins = [place[int(texts.whole[row])] for row in shared]
    differs = sum(
        label_of(dataset, int(row)) != label_of(against, twin)
        for row, twin in zip(shared, twins, strict=True)
    )
    yield Finding(
        name="leakage", grade="problem", count=len(shared),
        what=f"In {against.source}, too, stand the messages of {counted(len(shared), 'row')}; "
        f"{differs:,} of them with another label.",
        cure="Leave them out of one of the files: a score on rows that were learned from is no "
        "score.",
        examples=examples_of(dataset, shared),
    )  # fmt: skip


def _classes(dataset: Dataset) -> Iterator[Finding]:
    counts = label_counts(dataset)
    named = [f"{name!r} ({n:,})" for name, n in zip(dataset.labels, counts, strict=True)]
    few = np.flatnonzero(counts < FEW_A_CLASS)
    if len(few):
        shown = ", ".join(named[k] for k in few[:_NAMED]) + ", …" * (len(few) > _NAMED)
        yield Finding(
            name="small_classes", grade="warning", count=len(few),
            what=f"{counted(len(few), 'label')} of fewer than {FEW_A_CLASS} rows: {shown}.",
            cure="Gather more, or join them to others: so few can be neither learned nor scored.",
        )  # fmt: skip
    large, small = int(counts.max()), int(counts[counts > 0].min())
    if large >= _UNEVEN * small and dataset.kind != "multilabel":
        yield Finding(
            name="uneven_classes", grade="note", count=len(counts),
            what=f"The largest class has {large // small} times the rows of the smallest: "
            f"{named[int(counts.argmax())]} against {named[int(counts.argmin())]}.",
            cure="Look at the macro-F1 and the scores of each label, not at the accuracy.",
        )  # fmt: skip
    yield from _slips(dataset.labels, counts.tolist())


def _slips(labels: Sequence[str], counts: Sequence[int]) -> Iterator[Finding]:
    """Labels that may be slips of others: case, spaces, forms of a number, or a letter or two."""
    pairs = []
    plain = [plain_label(name) for name in labels]
    for k, name in enumerate(labels):
        for j, other in enumerate(labels):
            same = plain[k] == plain[j] and (counts[k], -k) < (counts[j], -j)
            rare = counts[k] <= _RARE * counts[j] and min(len(name), len(other)) > 3
            if k != j and (same or (rare and _alike(plain[k], plain[j]))):
                pairs.append(f"{name!r} ({counts[k]:,}) and {other!r} ({counts[j]:,})")
    if pairs:
        yield Finding(
            name="labels_alike", grade="warning", count=len(pairs),
            what=f"Some labels may be one: {'; '.join(pairs[:_NAMED])}"
            + (f" and {len(pairs) - _NAMED} more pairs." if len(pairs) > _NAMED else "."),
            cure="If they are, write them alike.",
        )  # fmt: skip


def _alike(a: str, b: str) -> bool:
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    return matcher.real_quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE


def _words(dataset: Dataset) -> Iterator[Finding]:
    words = giveaways.words_of_one_class(dataset)
    if words:
        told = "; ".join(
            f"{g.word!r} stands in {100 * g.covers:.0f} % of the rows of "
            f"{dataset.labels[g.label]!r} and "
            f"in {round((1 - g.pure) * g.rows)} rows of other labels"
            for g in words[:_NAMED]
        )
        yield Finding(
            name="telling_words", grade="warning", count=len(words),
            what=f"Words that nearly give a label away, {len(words)}: {told}.",
            cure="If they were written by whoever gave the labels, take them out of the messages.",
        )  # fmt: skip


def _columns(others: tuple[Dataset, dict[str, Sequence[str]]] | None) -> Iterator[Finding]:
    if others is None or not others[1]:
        return
    dataset, cells = others
    labels = [label_of(dataset, k) for k in range(len(dataset))]
    for name, share in giveaways.columns_that_tell(cells, labels):
        yield Finding(
            name="telling_column", grade="warning", count=round(share * len(dataset)),
            what=f"Column {name!r} gives the label away in {100 * share:.1f} % of the rows.",
            cure="Do not give it with --extra unless it is known before the label is.",
        )  # fmt: skip


def _damage(dataset: Dataset) -> Iterator[Finding]:
    damaged = [k for k, text in enumerate(dataset.texts) if wording.is_damaged(text)]
    if damaged:
        yield Finding(
            name="damaged_text", grade="warning", count=len(damaged),
            what=f"Damaged text in {counted(len(damaged), 'row')}: decoded wrongly on its way, or "
            "with control characters.",
            cure="Export them anew as UTF-8, or name the encoding with --encoding. The default "
            "tokeniser mends the usual damage.",
            examples=examples_of(dataset, damaged),
        )  # fmt: skip
    entities = [k for k, text in enumerate(dataset.texts) if wording.has_entities(text)]
    if entities:
        yield Finding(
            name="html_entities", grade="note", count=len(entities),
            what=f"HTML entities such as &amp; in {counted(len(entities), 'row')}.",
            cure="The default tokeniser decodes them.",
            examples=examples_of(dataset, entities[:2]),
        )  # fmt: skip


def _every(n: int) -> range:
    """Return row numbers spread evenly over all rows, at most `_MOST_READ`."""
    return range(0, n, max(-(-n // _MOST_READ), 1))


def _written(dataset: Dataset) -> Iterator[Finding]:
    read = _every(len(dataset))
    for name, tell in (("scripts", wording.script_of), ("languages", wording.language_of)):
        told = [tell(dataset.texts[k]) for k in read]
        counts = wording.most_of(told)
        known = sum(n for _, n in counts)
        others = [(who, n) for who, n in counts[1:] if n >= max(_SOME * known, 2)]
        if not others:
            continue
        shares = ", ".join(
            f"{who} {100 * n / known:.0f} %" for who, n in [counts[0], *others][:_NAMED]
        )
        rare = {who for who, _ in others}
        rows_of_rare = [k for k, who in zip(read, told, strict=True) if who in rare]
        yield Finding(
            name=f"mixed_{name}", grade="note", count=sum(n for _, n in others),
            what=f"Messages are in several {name}: {shares} of those that show it.",
            cure="See to it that each has enough rows of every label.",
            examples=examples_of(dataset, rows_of_rare[:3]),
        )  # fmt: skip
    yield from _long(dataset)


def _long(dataset: Dataset) -> Iterator[Finding]:
    # By characters, too, six to a word: some messages have no spaces.
    counts = np.array([max(text.count(" ") + 1, len(text) // 6) for text in dataset.texts])
    usual = float(np.median(counts))
    long = np.flatnonzero((counts > _LONG_WORDS) & (counts > _LONG_TIMES * usual))
    if len(long):
        order = long[np.argsort(-counts[long], kind="stable")]
        yield Finding(
            name="long_messages", grade="note", count=len(long),
            what=f"Over {_LONG_TIMES} times as long as "
            f"the usual message of {usual:.0f} words: {counted(len(long), 'row')}; the longest has "
            f"{int(counts.max()):,}.",
            cure="See whether several messages stand in one cell.",
            examples=examples_of(dataset, order[:2]),
        )  # fmt: skip


def _tokens(
    dataset: Dataset, first: Indices, tokenize: Tokenize, limit: int | None
) -> Iterator[Finding]:
    read = _every(len(dataset))
    cut = [tokenize(dataset.texts[k]) for k in read]
    total = sum(map(len, cut))
    if limit is not None:
        over = [k for k, tokens in zip(read, cut, strict=True) if len(tokens) > limit]
        unread = sum(max(len(tokens) - limit, 0) for tokens in cut)
        if over:
            yield Finding(
                name="unread_tokens", grade="warning" if unread > _SOME * total else "note",
                count=len(over),
                what=f"Of {len(read):,} rows looked at {len(over):,} have more "
                f"than the {limit} tokens that the model reads; {100 * unread / total:.1f} % of "
                "all tokens are not read.",
                cure="Raise --max-tokens if what matters stands late.",
                examples=examples_of(dataset, over[:2]),
            )  # fmt: skip
    yield from _unknown(first, read, cut)


def _unknown(
    first: Indices, read: Sequence[int], cut: Sequence[Sequence[str]]
) -> Iterator[Finding]:
    """Estimate how many words will be new: of each fifth of the messages, by the other four."""
    n_folds, seen, new = 5, 0, 0
    fold_of = [int(first[k]) * _SPREAD % 2**32 * n_folds >> 32 for k in read]  # equal ones in one
    folds: list[Counter[str]] = [Counter() for _ in range(n_folds)]
    for fold, tokens in zip(fold_of, cut, strict=True):
        folds[fold].update(tokens)
    for word in {word for fold in folds for word in fold}:
        counts = [fold[word] for fold in folds if word in fold]
        seen += sum(counts)
        new += counts[0] if len(counts) == 1 else 0
    if seen:
        share = new / seen
        yield Finding(
            name="unknown_words", grade="warning" if share > 0.2 else "note", count=new,
            what=f"Of new messages like these about {100 * share:.1f} % of the words will be "
            "unknown.",
            cure="More rows bring more words." if share > 0.2 else "",
        )  # fmt: skip
