"""A trained model's scores on the rows held back, with its metrics put into the bundle.

Takes `Trained`, gives `Scored`. Every figure comes from the engine that will answer, on rows that
neither the weights nor the thresholds have seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tidegate.bundle import Bundle
from tidegate.evaluation import Report, evaluate
from tidegate.runtime import Predictor
from tidegate.training.train import Trained


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A bundle with its metrics, and the report they come from."""

    bundle: Bundle
    report: Report
    state_changes: int | None

    def lines(self) -> list[str]:
        """Return the report for a terminal."""
        found = self.report.lines()
        if self.state_changes is not None:
            found.append(
                f"random initial states change the label of {self.state_changes} of "
                f"{self.report.n_rows} test rows; the bundle answers with zero states"
            )
        return found


def score(trained: Trained) -> Scored:
    """Score the engine on the test rows."""
    test = trained.test
    predictor = Predictor(trained.bundle)
    report = evaluate(
        test.targets,
        predictor.predict_proba(test.texts),
        labels=test.labels,
        kind=test.kind,
        threshold=predictor.threshold,
    )
    metrics = report.to_dict()
    if trained.state_changes is not None:
        metrics["initial_state_changes"] = trained.state_changes
    bundle = replace(trained.bundle, metrics=metrics)
    return Scored(bundle=bundle, report=report, state_changes=trained.state_changes)
