"""Messages a second of the default tokeniser, cold and warm, beside scikit-learn's word analyser.

    PYTHONPATH=src python benchmarks/bench_tokenizers.py DATA.csv OUT.json [--column text]

Cold is a new tokeniser on its first pass over the file, warm its second pass. The baseline is
CountVectorizer(analyzer="word", ngram_range=(1, 1)).build_analyzer(). The three take turns, so
that a busy machine slows all of them; each figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from sklearn.feature_extraction.text import CountVectorizer

from tidegate.text.tweet import TweetTokenizer

ROUNDS = 5


def messages_per_s(tokenize: Callable[[str], list[str]], texts: list[str]) -> float:
    begin = time.perf_counter()
    for text in texts:
        tokenize(text)
    return len(texts) / (time.perf_counter() - begin)


def measure(texts: list[str]) -> dict[str, object]:
    analyze = CountVectorizer(analyzer="word", ngram_range=(1, 1)).build_analyzer()
    TweetTokenizer()("é")  # compile the pattern for words beyond ASCII, once per process
    rates: dict[str, list[float]] = {"cold": [], "warm": [], "count_vectorizer": []}
    for _ in range(ROUNDS):
        tokenize = TweetTokenizer()
        rates["cold"].append(messages_per_s(tokenize, texts))
        rates["warm"].append(messages_per_s(tokenize, texts))
        rates["count_vectorizer"].append(messages_per_s(analyze, texts))
    tokenize = TweetTokenizer()
    return {
        "messages": len(texts),
        "characters_per_message": round(statistics.mean(map(len, texts)), 1),
        "tokens_per_message": round(statistics.mean(len(tokenize(text)) for text in texts), 2),
        "rounds": ROUNDS,
        "messages_per_s": {name: round(statistics.median(seen)) for name, seen in rates.items()},
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--column", default="text")
    arguments = parser.parse_args()
    with arguments.data.open(encoding="utf-8", newline="") as file:
        texts = [row[arguments.column] for row in csv.DictReader(file)]
    result = measure(texts)
    arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
