"""The scores against scikit-learn, numbers worked by hand, and the laws they must obey."""

from __future__ import annotations

import doctest
import json
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics

from tidegate.errors import ConfigError, DataError
from tidegate.evaluation import calibration, scores, thresholds
from tidegate.evaluation.bootstrap import resamples
from tidegate.evaluation.calibration import apply_temperature, fit_temperature
from tidegate.evaluation.scores import Report, compare, evaluate, mcnemar
from tidegate.evaluation.thresholds import choose_threshold, decide, parse_rule

KINDS = ["binary", "multiclass", "multilabel"]
QUICK = settings(max_examples=60, deadline=None)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def values(report):
    return {name: found.value for name, found in report.scores.items()}


def score(y, p, **settings):
    return evaluate(y, p, labels=[f"label {k}" for k in range(np.shape(p)[1])], **settings)


@st.composite
def rows(draw, kind):
    """A few rows, with many ties, zeros and ones, and often a label that nobody carries."""
    n = draw(st.integers(1, 30))
    columns = 2 if kind == "binary" else draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = draw(st.sampled_from([2, 8, 10_000]))
    size = (n, columns) if kind == "multilabel" else n
    if kind == "multilabel":
        p = rng.integers(0, steps + 1, size) / steps
        return (rng.random(size) < draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))).astype(int), p
    used = draw(st.integers(1, columns))
    cuts = np.sort(rng.integers(0, steps + 1, (n, columns - 1)) / steps, axis=1)
    p = np.diff(cuts, axis=1, prepend=0.0, append=1.0)
    return rng.integers(0, used, n), p


def one_against_rest(truth, p):
    """(ROC-AUC, average precision) by scikit-learn, NaN where it has none."""
    auc = metrics.roc_auc_score(truth, p) if 0 < truth.sum() < len(truth) else math.nan
    return auc, metrics.average_precision_score(truth, p) if truth.any() else math.nan


def mean_defined(numbers):
    defined = [x for x in numbers if not math.isnan(x)]
    return sum(defined) / len(defined) if defined else math.nan


def expect(found, wanted):
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), name


@pytest.mark.parametrize("kind", KINDS)
@QUICK
@given(data=st.data())
def test_scores_are_scikit_learns(kind, data):
    y, p = data.draw(rows(kind))
    t = 0.5 if kind == "multiclass" else data.draw(st.sampled_from([0.25, 0.5, 0.7]))
    n_columns = p.shape[1]
    classes = range(2 if kind == "multilabel" else n_columns)
    decided = {"binary": p[:, -1] >= t, "multiclass": p.argmax(axis=1), "multilabel": p >= t}
    decided = decided[kind].astype(int)
    report = score(y, p, kind=kind, threshold=t, bootstrap=0)
    if kind == "multilabel":
        truth, chosen = y, decided
        pairs = zip(y.T, p.T, strict=True)
        loss = np.mean([metrics.log_loss(*pair, labels=[0, 1]) for pair in pairs])
        micro = metrics.f1_score(y, decided, average="micro", zero_division=0)
        more = {"micro_f1": micro if y.any() else math.nan}
        more["subset_accuracy"] = metrics.accuracy_score(y, decided)
    else:
        truth, chosen = np.eye(n_columns, dtype=int)[y], np.eye(n_columns, dtype=int)[decided]
        loss = metrics.log_loss(y, p, labels=list(classes))
        assert report.confusion == metrics.confusion_matrix(y, decided, labels=classes).tolist()
        bins = report.reliability
        gaps = np.abs(np.subtract(bins.mean_probability, bins.observed_share)) * bins.count
        more = {"expected_calibration_error": np.nansum(gaps) / len(y)}
    scored = [1] if kind == "binary" else range(n_columns)
    ranked = [one_against_rest(truth[:, k], p[:, k]) for k in scored]
    wanted = more | {
        "accuracy": (y == decided).mean(),
        "log_loss": loss,
        "roc_auc": mean_defined([auc for auc, _ in ranked]),
        "average_precision": mean_defined([ap for _, ap in ranked]),
    }
    tables = metrics.precision_recall_fscore_support(truth, chosen, zero_division=0)[:3]
    for name, table in zip(("precision", "recall", "f1"), tables, strict=True):
        each = np.where(truth.any(axis=0), table, math.nan)
        found = [getattr(row, name) for row in report.per_label]
        assert found == pytest.approx(each, abs=1e-12, nan_ok=True)
        wanted[name] = mean_defined([each[k] for k in scored])
    expect(values(report), wanted)
    assert [row.support for row in report.per_label] == truth.sum(axis=0).tolist()


def test_a_single_class_leaves_scores_undefined_and_none_in_json():
    report = score([0, 0], [[0.9, 0.1], [0.4, 0.6]], kind="binary")
    undefined = {name for name, value in values(report).items() if math.isnan(value)}
    assert undefined == {"precision", "recall", "f1", "roc_auc", "average_precision"}
    assert math.isnan(report.scores["recall"].low)
    assert report.to_dict()["scores"]["roc_auc"] == {"value": None, "low": None, "high": None}


def test_calibration_error_worked_by_hand():
    # Confidences 0.95 (right), 0.95 (wrong), 0.72 (right), 0.70 (right); bins are 1/15 wide:
    # (14/15, 1] holds 0.95 twice: |0.95 - 0.5| = 0.45, weight 2/4
    # (10/15, 11/15] holds 0.72 and 0.70: |0.71 - 1| = 0.29, weight 2/4
    p = [[0.05, 0.95], [0.05, 0.95], [0.72, 0.28], [0.30, 0.70]]
    report = score([1, 0, 0, 1], p, kind="binary", threshold=0.99)
    assert report.scores["expected_calibration_error"].value == pytest.approx(0.45 / 2 + 0.29 / 2)
    bins = report.reliability
    assert (bins.count[14], bins.count[10], sum(bins.count)) == (2, 2, 4)
    assert (bins.mean_probability[10], bins.observed_share[14]) == (pytest.approx(0.71), 0.5)
    assert math.isnan(bins.mean_probability[0])

    # Multilabel: label 0 promises 0.2 and 0.1, one happens: bins (2/15, 3/15] and (1/15, 2/15],
    # so (0.8 + 0.1) / 2 = 0.45; label 1 is certain and right: 0. Their mean is 0.225.
    report = score([[1, 1], [0, 0]], [[0.2, 1], [0.1, 0]], kind="multilabel")
    assert report.scores["expected_calibration_error"].value == pytest.approx(0.225)
    assert report.reliability.count[0] == report.reliability.count[14] == 1


def noisy(rng, n):
    y = rng.integers(0, 2, n)
    logit = 1.5 * (2 * y - 1) + 2.0 * rng.standard_normal(n)
    return y, softmax(np.stack([np.zeros(n), logit], axis=1))


def test_intervals_follow_the_seed_and_hold_the_value():
    y, p = noisy(np.random.default_rng(3), 400)
    first, again, other = (score(y, p, kind="binary", seed=seed) for seed in (0, 0, 1))
    assert json.dumps(first.to_dict()) == json.dumps(again.to_dict())
    assert first.scores["f1"] != other.scores["f1"]
    assert values(first) == values(other)
    for name, found in first.scores.items():
        assert found.low < found.value < found.high, name


def test_a_calibration_error_lies_in_its_interval_where_chance_is_most_of_it():
    rng = np.random.default_rng(4)
    p = rng.uniform(0.05, 0.95, 300)
    y = (rng.random(300) < p).astype(int)  # every promise is kept
    found = score(y, np.stack([1 - p, p], axis=1), kind="binary").scores
    error = found["expected_calibration_error"]
    assert 0 <= error.low < error.value < error.high


def test_resampled_scores_are_the_scores_of_the_resampled_rows():
    y, p = noisy(np.random.default_rng(5), 40)
    p = p.round(1)
    p[:, 0] = 1.0 - p[:, 1]
    measured = scores._Rows.of(y, p, kind="binary", threshold=0.5)
    weights = next(resamples((40,), 30, seed=2))
    together = scores._measure(measured, p, weights)
    for r, counts in enumerate(weights.astype(int)):
        drawn = np.repeat(np.arange(40), counts)
        alone = score(y[drawn], p[drawn], kind="binary", bootstrap=0)
        expect({name: column[r] for name, column in together.items()}, values(alone))


def test_intervals_cover_the_truth_about_as_often_as_they_claim():
    rng = np.random.default_rng(11)
    y, p = noisy(rng, 100_000)
    truth = values(score(y, p, kind="binary", bootstrap=0))
    covered = {"accuracy": 0, "roc_auc": 0, "f1": 0}
    for trial in range(200):
        y, p = noisy(rng, 150)
        found = score(y, p, kind="binary", bootstrap=300, seed=trial).scores
        for name in covered:
            covered[name] += found[name].low <= truth[name] <= found[name].high
    assert all(176 <= hits <= 200 for hits in covered.values()), covered


def test_large_evaluations_draw_fewer_resamples_and_stay_fast():
    rng = np.random.default_rng(0)
    y, p = (rng.random((5000, 36)) < 0.1).astype(int), rng.random((5000, 36))
    began_s = time.process_time()
    report = score(y, p, kind="multilabel")
    assert report.replicates == 222
    assert time.process_time() - began_s < 12.0  # 1.2 s on an idle core; the limit allows a busy CI


@pytest.mark.parametrize("kind", KINDS)
def test_report_survives_strict_json(kind):
    columns = 2 if kind == "binary" else 3
    p = softmax(np.random.default_rng(1).standard_normal((20, columns)))
    y, threshold = np.zeros(20, dtype=int), 0.5
    if kind == "multilabel":
        y, threshold = np.eye(3, dtype=int)[np.arange(20) % 2], [0.2, 0.3, 0.4]
    report = score(y, p, kind=kind, threshold=threshold, bootstrap=50)
    text = json.dumps(report.to_dict(), allow_nan=False)
    again = Report.from_dict(json.loads(text))
    assert json.dumps(again.to_dict(), allow_nan=False) == text
    assert again.lines() == report.lines()
    assert (again.labels, again.threshold) == (report.labels, report.threshold)


def test_report_that_is_none_is_a_data_error():
    whole = score([0, 1], [[1, 0], [0, 1]], kind="binary").to_dict()
    for broken in ({**whole, "extra": 1}, {k: v for k, v in whole.items() if k != "labels"}):
        with pytest.raises(DataError, match="report: not as to_dict writes it"):
            Report.from_dict(broken)


def test_lines_are_an_aligned_table():
    y, p = noisy(np.random.default_rng(3), 1000)
    lines = evaluate(y, p, labels=["calm", "flood"], kind="binary", threshold=0.4).lines()
    assert lines[0] == "binary, 1000 rows, threshold 0.4; 95 % intervals, 1000 resamples"
    assert len({len(line) for line in lines[2:11]}) == 1
    assert lines[-3].split() == ["truth", "\\", "decided", "calm", "flood"]


def test_compare_finds_the_better_model():
    rng = np.random.default_rng(2)
    y, p = noisy(rng, 600)
    worse = np.where(rng.random((600, 1)) < 0.25, p[:, ::-1], p)
    found = compare(y, p, worse, kind="binary")
    assert 0.0 < found.accuracy.low < found.accuracy.value < found.accuracy.high
    assert found.f1.low > 0.0
    assert found.accuracy.value == pytest.approx((found.ours_only - found.theirs_only) / 600)
    discordant = found.ours_only + found.theirs_only
    assert found.mcnemar_p == pytest.approx(binomtest(found.ours_only, discordant).pvalue)
    assert found == compare(y, p, worse, kind="binary")
    assert compare(y, worse, p, kind="binary").accuracy.value == -found.accuracy.value


def test_compare_takes_a_threshold_for_each_and_every_kind():
    y, p = noisy(np.random.default_rng(2), 300)
    found = compare(y, p, p, kind="binary", threshold=0.5, their_threshold=0.9)
    assert found.ours_only > 0
    same = compare(y, p, p, kind="multiclass")
    assert (same.accuracy.value, same.accuracy.high, same.mcnemar_p) == (0.0, 0.0, 1.0)
    labels = np.stack([y, 1 - y], axis=1)
    assert compare(labels, p[:, ::-1], p, kind="multilabel").mcnemar_p is None
    with pytest.raises(DataError, match="theirs: 3 columns, ours 2"):
        compare(y, p, np.full((300, 3), 1 / 3), kind="multiclass")


@QUICK
@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_exact_binomial_test(b, c):
    tail = sum(math.comb(b + c, i) for i in range(min(b, c) + 1))
    assert mcnemar(b, c) == pytest.approx(min(1.0, 2 * tail / 2 ** (b + c)), rel=1e-9, abs=0.0)
    large = mcnemar(49_500 + b, 50_500)
    assert large == pytest.approx(binomtest(49_500 + b, 100_000 + b).pvalue, rel=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_fitted_temperature_recovers_a_known_one(kind, temperature):
    rng = np.random.default_rng(4)
    z = 2.0 * rng.standard_normal((20_000, 3))
    if kind == "multiclass":
        y = (np.cumsum(softmax(z), axis=1) < rng.random((20_000, 1))).sum(axis=1)
    else:
        z = z[:, 0] if kind == "binary" else z
        y = (rng.random(z.shape) < 1.0 / (1.0 + np.exp(-z))).astype(int)
    assert fit_temperature(z * temperature, y, kind=kind) == pytest.approx(temperature, rel=0.05)


def test_temperature_at_the_ends_of_its_range():
    assert fit_temperature([9.0, -9.0], [1, 0], kind="binary") == pytest.approx(1 / 20)
    assert fit_temperature([9.0, -9.0], [0, 1], kind="binary") == pytest.approx(20)
    assert fit_temperature([[0.0, 0.0]], [1], kind="binary") == 1.0
    with pytest.raises(DataError, match="needs finite logits"):
        fit_temperature([math.inf], [1], kind="binary")


@QUICK
@given(rows("multiclass"), st.floats(0.05, 20.0))
def test_temperature_keeps_order_zeros_and_sums(case, temperature):
    _, p = case
    scaled = apply_temperature(p, temperature, kind="multiclass")
    assert scaled.sum(axis=1) == pytest.approx(1.0)
    top = np.take_along_axis(scaled, p.argmax(axis=1)[:, None], axis=1)
    assert (top == scaled.max(axis=1, keepdims=True)).all()
    assert (scaled[p == 0] == 0).all()
    np.testing.assert_array_equal(apply_temperature(p, 1.0, kind="multiclass"), p)


def test_temperature_divides_logits_and_log_odds():
    z = np.random.default_rng(6).standard_normal((50, 3)) * 4
    scaled = apply_temperature(softmax(z), 1.7, kind="multiclass")
    np.testing.assert_allclose(scaled, softmax(z / 1.7), rtol=1e-12)
    scaled = apply_temperature(1 / (1 + np.exp(-z)), 1.7, kind="multilabel")
    np.testing.assert_allclose(scaled, 1 / (1 + np.exp(-z / 1.7)), rtol=1e-9)
    with pytest.raises(ConfigError, match="positive finite number"):
        apply_temperature([[0.5, 0.5]], 0.0, kind="binary")
    nobody = apply_temperature(np.empty((0, 2)), 2.0, kind="binary")
    assert decide(nobody, kind="binary").shape == (0,)


@QUICK
@given(rows("multilabel"), st.sampled_from([0.5, 1.0, 2.0]))
def test_chosen_threshold_is_the_best_there_is(case, beta):
    y, p = case[0][:, 0], case[1][:, 0]
    cuts = [0.0, *np.nextafter(np.unique(p), 2.0)]  # every threshold that changes a decision

    def f(cut):
        return metrics.fbeta_score(y, p >= cut, beta=beta, zero_division=0)

    def cost(cut):
        return 5 * (y > (p >= cut)).sum() + (y < (p >= cut)).sum()

    assert cost(choose_threshold(y, p, rule="cost:5:1")) == min(map(cost, cuts))
    if not y.any():
        with pytest.raises(DataError, match="needs a positive row"):
            choose_threshold(y, p, rule=f"f{beta}")
        return
    best = max(map(f, cuts))
    assert f(choose_threshold(y, p, rule=f"f{beta:g}")) == pytest.approx(best, abs=1e-12)


@QUICK
@given(rows("multilabel"))
def test_precision_rule_takes_the_lowest_threshold_that_reaches_it(case):
    y, p = case[0][:, 0], case[1][:, 0]

    def precision(cut):
        return metrics.precision_score(y, p >= cut, zero_division=0)

    cuts = [cut for cut in np.unique(p) if precision(cut) >= 0.7]
    if not cuts:
        with pytest.raises(ConfigError, match="no threshold reaches 'precision:"):
            choose_threshold(y, p, rule="precision:0.7")
        return
    chosen = choose_threshold(y, p, rule="precision:0.7")
    assert ((p >= chosen) == (p >= cuts[0])).all()


def test_thresholds_worked_by_hand():
    y, p = [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]
    assert choose_threshold(y, p, rule="half") == 0.5
    assert parse_rule("f0.5").values == (0.5,)
    assert choose_threshold(y, p, rule="f1") == pytest.approx(0.225)  # all positives, one too many
    assert choose_threshold(y, p, rule="cost:1:9") == pytest.approx(0.6)
    assert choose_threshold(y, p, rule="cost:0:1") == pytest.approx(0.6)  # 0.9 is as good; 0.5 near
    assert choose_threshold([0, 0], [0.2, 1.0], rule="cost:1:1") > 1.0
    near = np.nextafter(0.3, 1.0)
    assert choose_threshold([0, 1], [0.3, near], rule="f1") == near


NO_RULES = ",f,f0,f-1,fnan,f1:2,f:1,half:1,precision,precision:1.5,precision:0,cost:5,cost:0:0"


@pytest.mark.parametrize("text", [*NO_RULES.split(","), "cost:-1:1", "cost:a:b", "best"])
def test_rules_that_do_not_exist_list_those_that_do(text):
    with pytest.raises(ConfigError, match="half, f1, f<beta>, precision:<share>, cost:") as caught:
        parse_rule(text)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_that_do_not_fit_the_kind():
    assert decide([[0.5, 0.5]], kind="binary", threshold=0.5).tolist() == [1]
    assert decide([[0.5, 0.5]], kind="multiclass").tolist() == [0]
    with pytest.raises(ConfigError, match="binary needs one number"):
        decide([[0.5, 0.5]], kind="binary", threshold=[0.5, 0.5])
    with pytest.raises(ConfigError, match="multilabel needs one number or 2"):
        decide([[0.5, 0.5]], kind="multilabel", threshold=[0.5])
    with pytest.raises(ConfigError, match="'ordinal' does not exist"):
        decide([[0.5, 0.5]], kind="ordinal")
    with pytest.raises(ConfigError, match="labels: 1 names for 2 columns"):
        evaluate([0], [[1.0, 0.0]], labels=["only"], kind="binary")


@pytest.mark.parametrize(
    ("targets", "probabilities", "message"),
    [
        ([0], [[math.nan, 1.0]], "NaN or outside"),
        ([0], [[0.5, 0.9]], "does not sum to 1"),
        ([0], [[0.2, 0.3, 0.5]], r"shape \(1, 3\)"),
        ([2], [[0.5, 0.5]], "not an index 0 … 1"),
        ([0.5], [[0.5, 0.5]], "not an index 0 … 1"),
        (["0"], [[0.5, 0.5]], "not an index 0 … 1"),
        ([0, 1], [[0.5, 0.5]], r"need \(1,\)"),
        ([], np.empty((0, 2)), "no rows"),
    ],
)
def test_rows_that_cannot_be_scored(targets, probabilities, message):
    with pytest.raises(DataError, match=message):
        score(targets, probabilities, kind="binary")


@pytest.mark.parametrize("module", [scores, calibration, thresholds])
def test_examples_run(module):
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0
