"""What a threshold costs: alarms caught and false, and messages better left to a person.

Takes probabilities and labels of held-out messages, gives counts a person can act on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SURE = (0.9, 0.95, 0.99)  # shares of the messages decided that shall be right


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """What one threshold does.

    Attributes
    ----------
    threshold : from which on the label is given
    caught : share of the messages with the label that get it (recall); None without any
    right : share of the messages that get it which have it (precision); None without any
    alarms : share of all messages that get it
    false_alarms : share of all messages that get it and do not have it
    missed : share of all messages that have it and do not get it
    """

    threshold: float
    caught: float | None
    right: float | None
    alarms: float
    false_alarms: float
    missed: float


def operating_points(
    p: Doubles, truth: Bools, thresholds: tuple[float, ...] = THRESHOLDS
) -> list[OperatingPoint]:
    """Return what thresholds do to held-out messages.

    Parameters
    ----------
    p : (N,) probability of the label
    truth : (N,) whether the message has it

    Examples
    --------
    >>> points = operating_points(np.array([0.2, 0.6, 0.7, 0.9]), np.array([0, 0, 1, 1]) > 0)
    >>> [(o.threshold, o.caught, o.right) for o in points if o.threshold in (0.5, 0.8)]
    [(0.5, 1.0, 0.6666666666666666), (0.8, 0.5, 1.0)]
    """
    found = []
    n, positive = len(p), int(truth.sum())
    for threshold in thresholds:
        given = p >= threshold
        hits, alarms = int((given & truth).sum()), int(given.sum())
        found.append(
            OperatingPoint(
                threshold=threshold, caught=hits / positive if positive else None,
                right=hits / alarms if alarms else None, alarms=alarms / n,
                false_alarms=(alarms - hits) / n, missed=(positive - hits) / n,
            )
        )  # fmt: skip
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """From which certainty on answers are right often enough.

    Attributes
    ----------
    wanted : share of the messages decided that shall be right
    certainty : least probability of the decided label; below it a person decides
    decided : share of the messages that the model then decides
    right : share of those that it decides rightly
    """

    wanted: float
    certainty: float
    decided: float
    right: float


def abstentions(
    certainty: Doubles, right: Bools, wanted: tuple[float, ...] = SURE
) -> list[Abstention | None]:
    """Return for each wanted share the least certainty that reaches it; None where none does.

    Parameters
    ----------
    certainty : (N,) probability of the label decided
    right : (N,) whether it was right

    Examples
    --------
    >>> [found] = abstentions(np.array([0.6, 0.7, 0.8, 0.9]), np.array([0, 1, 1, 1]) > 0, (1.0,))
    >>> found.certainty, found.decided, found.right
    (0.7, 0.75, 1.0)
    """
    order = np.argsort(-certainty, kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    # Only where the certainty changes can a limit be drawn: equal ones are decided together.
    last = np.flatnonzero(np.diff(certainty[order], append=-1.0))
    found: list[Abstention | None] = []
    for share in wanted:
        reached = last[shares[last] >= share]
        if not len(reached):
            found.append(None)
            continue
        k = int(reached[-1])
        found.append(
            Abstention(
                wanted=share, certainty=float(certainty[order[k]]),
                decided=(k + 1) / len(order), right=float(shares[k]),
            )
        )  # fmt: skip
    return found
