"""What `scores.evaluate` finds: the report, for people and for JSON.

Takes scores, gives a `Report`, its lines for a terminal, its JSON and back. Knows nothing of how a
score is computed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from tidegate.config import Kind
from tidegate.errors import DataError
from tidegate.evaluation.bootstrap import Score
from tidegate.evaluation.calibration import Reliability

_FEW_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScores:
    """The scores of one label against the rest; `support` is the number of rows carrying it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `evaluate` found.

    `scores`: accuracy, precision, recall, f1, roc_auc (one label against the rest, ties are half),
    average_precision (Σ (R_k - R_{k-1}) P_k, not interpolated), log_loss (nats),
    expected_calibration_error (`calibration.calibration_error`); multilabel adds subset_accuracy
    (all labels of a row right) and micro_f1, its accuracy is the share of right label decisions.
    `replicates` resamples made the intervals. `confusion[t][p]` counts rows of label t decided as
    p; None for multilabel. `reliability` bins what the calibration error is made of.
    `learned_rows`: how many rows the model learned from, which makes its scores too good; None
    where that is not known.
    """

    kind: Kind
    labels: tuple[str, ...]
    n_rows: int
    threshold: float | tuple[float, ...]
    replicates: int
    scores: dict[str, Score]
    confusion: list[list[int]] | None
    reliability: Reliability
    per_label: tuple[LabelScores, ...]
    learned_rows: int | None = None

    def to_dict(self) -> dict[str, object]:
        """Return dicts, lists, strings and numbers that strict JSON can hold; NaN becomes None."""
        return cast(dict[str, object], _plain(asdict(self)))

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Report:
        """Read what `to_dict` wrote; DataError if a key is missing, unknown or misshapen."""
        try:
            raw = {key: frozen(value) for key, value in data.items()} | {
                "scores": {name: Score(**row) for name, row in frozen(data["scores"]).items()},
                "confusion": data["confusion"],
                "reliability": Reliability(**frozen(data["reliability"])),
                "learned_rows": data.get("learned_rows"),
                "per_label": tuple(LabelScores(**row) for row in frozen(data["per_label"])),
            }
            return cls(**raw)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"report: not as to_dict writes it ({error}); evaluate anew") from error

    def lines(self) -> list[str]:
        """Return the report as aligned plain text, one string a line.

        Examples
        --------
        >>> from tidegate.evaluation.scores import evaluate
        >>> p = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]]
        >>> report = evaluate([0, 1, 1, 1], p, labels=("calm", "flood"), kind="binary")
        >>> report.lines()[0]
        'binary, 4 rows, threshold 0.5; 95 % intervals, 1000 resamples'
        """
        t = "one a label" if isinstance(self.threshold, tuple) else f"{self.threshold:.4g}"
        cut = "" if self.kind == "multiclass" else f", threshold {t}"
        head = f"{self.kind}, {self.n_rows} rows{cut}; 95 % intervals, {self.replicates} resamples"
        scores = ([name, s.value, s.low, s.high] for name, s in self.scores.items())
        rows = ([r.label, r.precision, r.recall, r.f1, r.support] for r in self.per_label)
        lines = [head, *self.cautions(), "", *_table(["score", "value", "low", "high"], scores), ""]
        lines += _table(["label", "precision", "recall", "f1", "support"], rows)
        if self.confusion is not None and len(self.labels) <= 12:  # wider ones fit no terminal
            counts = ([name, *row] for name, row in zip(self.labels, self.confusion, strict=True))
            lines += ["", *_table(["truth \\ decided", *self.labels], counts)]
        return lines

    def cautions(self) -> list[str]:
        """Return why the scores may mislead, a line each."""
        found = []
        if self.learned_rows:
            found.append(
                f"caution: the model learned from {self.learned_rows} of these {self.n_rows} rows "
                f"({self.learned_rows / self.n_rows:.0%}), so it may be less right on others"
            )
        if self.n_rows < _FEW_ROWS:
            found.append(f"caution: {self.n_rows} rows are few; see how wide the intervals are")
        return found


def reliability_of(report: bytes) -> dict[str, Any] | None:
    """Return the reliability of a bundle's report, or None; what is written there may be anything.

    For binary and multi-class models it is of the most probable label, else of every label.
    """
    try:
        found = Report.from_dict(json.loads(report)["model"])
    except (ValueError, KeyError, TypeError, RecursionError, DataError):
        return None
    reliability = found.to_dict()["reliability"]
    return reliability if isinstance(reliability, dict) else None


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def frozen(value: object) -> Any:
    """Return a value as it was before `to_dict`: lists are tuples, None is NaN."""
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    return math.nan if value is None else value


def _table(header: list[str], rows: Iterable[Sequence[object]]) -> list[str]:
    shown = [[f"{c:.3f}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    shown.insert(0, header)
    first, *rest = (max(map(len, column)) for column in zip(*shown, strict=True))
    form = "  ".join([f"{{:<{first}}}", *(f"{{:>{width}}}" for width in rest)])
    return [form.format(*row) for row in shown]
