"""The verb that scores a bundle: evaluate."""

from __future__ import annotations

from tidegate.cli.printing import AsJson, DataFile, ModelPath, put, put_json, say


def evaluate(model: ModelPath, data: DataFile, as_json: AsJson = False) -> None:
    """Score a bundle on labelled messages: scores with intervals, confusion, calibration."""
    from tidegate.data.dataset import read_dataset
    from tidegate.engine.bundle import Bundle
    from tidegate.engine.predictor import Predictor
    from tidegate.evaluation.scores import evaluate as score

    bundle = Bundle.load(model)
    dataset = read_dataset(data, bundle.config.data, labels=bundle.labels)
    say(*dataset.notes)
    predictor = Predictor(bundle)
    report = score(
        dataset.targets,
        predictor.predict_proba(dataset.texts),
        labels=bundle.labels,
        kind=bundle.kind,
        threshold=predictor.threshold,
    )
    if as_json:
        put_json(report.to_dict(), indent=1)
    else:
        put(*report.lines())
