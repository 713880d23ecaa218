"""Times the lesson's pipeline against the notebook's own code on NLTK, and compares their tokens.

Takes an nltk_data folder and a CSV with a column `text`; prints a table and writes JSON. Runs in an
environment with NLTK 3.8.1 (the lesson's) in which `tidegate` can be imported:

    python -m venv bench && bench/bin/pip install nltk==3.8.1
    PYTHONPATH=src bench/bin/python benchmarks/bench_preprocessing.py NLTK_DATA tweets.csv

The folder is the one that scripts/record_nltk_lemmas.py describes; a `corpora/stopwords/english` in
it is not needed, both sides use the 179 words that Tidegate ships.

    cold     a fresh process; from the first text to the last token, reading all tables included,
             imports left out (they are listed beside it)
    warm     the same texts again in that process; Tidegate's form cache is full then

NLTK's `word_tokenize` is called with `preserve_line=True`: after cleaning there is no punctuation
left to end a sentence at, so the tokens are the same, and NLTK is spared Punkt's time.
Five processes of each kind, in turn; medians are compared.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

N_RUNS = 5
ENGINES = ("nltk", "tidegate")
Pipeline = Callable[[list[str]], list[list[str]]]


def notebook_pipeline() -> Pipeline:
    """Return the notebook's preprocessing, as it is written there."""
    from nltk.stem import WordNetLemmatizer  # type: ignore[import-untyped]
    from nltk.tokenize import word_tokenize  # type: ignore[import-untyped]

    from tidegate.text.lesson import stop_words

    def run(texts: list[str]) -> list[list[str]]:
        cleaned = [re.sub(r"[^\w\s]", "", text.lower()) for text in texts]
        tokenized = [word_tokenize(text, preserve_line=True) for text in cleaned]
        stopped = set(stop_words())
        kept = [[token for token in tokens if token not in stopped] for tokens in tokenized]
        lemmatizer: Any = WordNetLemmatizer()
        lemmatized = []
        for words in kept:
            for pos in "vnars":
                words = [lemmatizer.lemmatize(word, pos=pos) for word in words]
            lemmatized.append(words)
        return lemmatized

    return run


def tidegate_pipeline() -> Pipeline:
    from tidegate.text.lesson import LessonTokenizer

    tokenizer = LessonTokenizer(lemmas="nltk-3.8")
    return lambda texts: [tokenizer(text) for text in texts]


def measure(engine: str, texts: list[str]) -> dict[str, Any]:
    """Run one engine twice over the texts in this process."""
    started = time.perf_counter()
    pipeline = notebook_pipeline() if engine == "nltk" else tidegate_pipeline()
    imported = time.perf_counter()
    tokens = pipeline(texts)
    cold = time.perf_counter()
    again = pipeline(texts)
    warm = time.perf_counter()
    if again != tokens:
        raise SystemExit(f"{engine}: the second pass gave other tokens than the first")
    return {
        "import_s": imported - started,
        "cold_s": cold - imported,
        "warm_s": warm - cold,
        "n_tokens": sum(map(len, tokens)),
        "n_distinct": len({token for row in tokens for token in row}),
        "sha256": hashlib.sha256(json.dumps(tokens).encode()).hexdigest(),
    }


def in_fresh_process(engine: str, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, str(options.nltk_data), str(options.csv)]
    environment = os.environ | {"NLTK_DATA": str(options.nltk_data)}
    done = subprocess.run(
        [*command, "--child", engine], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{engine}: {done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def compare(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return medians and ratios; refuse if any two runs gave different tokens."""
    if len({run["sha256"] for engine in ENGINES for run in runs[engine]}) != 1:
        raise SystemExit("the two pipelines gave different tokens: no time is worth comparing")
    medians = {
        engine: {
            name: statistics.median(run[name] for run in runs[engine])
            for name in ("import_s", "cold_s", "warm_s")
        }
        for engine in ENGINES
    }
    nltk, ours = medians["nltk"], medians["tidegate"]
    return {
        "n_tokens": runs["nltk"][0]["n_tokens"],
        "n_distinct": runs["nltk"][0]["n_distinct"],
        "same_tokens": True,
        "median": medians,
        "cold_ratio": nltk["cold_s"] / ours["cold_s"],
        "warm_ratio": nltk["warm_s"] / ours["warm_s"],
        "runs": {
            engine: [{k: run[k] for k in ("import_s", "cold_s", "warm_s")} for run in runs[engine]]
            for engine in ENGINES
        },
    }


def machine() -> dict[str, Any]:
    cpu_info = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.*)", cpu_info.read_text()) if cpu_info.exists() else []
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the lesson's pipeline against NLTK's.")
    parser.add_argument("nltk_data", type=Path)
    parser.add_argument("csv", type=Path)
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/results/preprocessing.json")
    )
    parser.add_argument("--child", choices=ENGINES, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    with options.csv.open(encoding="utf-8", newline="") as stream:
        texts = [row["text"] for row in csv.DictReader(stream)]
    if options.child:
        print(json.dumps(measure(options.child, texts)))
        return
    runs: dict[str, list[dict[str, Any]]] = {engine: [] for engine in ENGINES}
    for _ in range(N_RUNS):
        for engine in ENGINES:
            runs[engine].append(in_fresh_process(engine, options))
    import nltk  # type: ignore[import-untyped]

    report = {
        "benchmark": "preprocessing",
        "machine": machine() | {"nltk": nltk.__version__},
        "data": {"file": options.csv.name, "n_texts": len(texts)},
        "command": f"python benchmarks/bench_preprocessing.py NLTK_DATA {options.csv.name}",
        **compare(runs),
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    for engine, median in report["median"].items():
        print(f"{engine:9}", *(f"{name} {value:.3f}" for name, value in median.items()))
    print(f"{len(texts)} texts, {report['n_tokens']} tokens, the same from both")
    print(f"cold {report['cold_ratio']:.1f} times faster, warm {report['warm_ratio']:.1f} times")


if __name__ == "__main__":
    main()
