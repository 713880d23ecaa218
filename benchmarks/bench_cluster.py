"""Two million messages on a cluster of two nodes: equality, kills, overhead and memory.

    python -m benchmarks.bench_cluster MODEL [--rows 2000000] [--kills 5] [--drivers 3]

The cluster is `ray.cluster_utils.Cluster` on this machine: a head without cores and two nodes with
one core each; one machine is `tidegate predict --threads 2`. The reference tweets are repeated with
varied numbers, as CSV and as Parquet, in eight files. Then a run has nodes killed with SIGKILL and
replaced, and its driver killed and resumed. Start-up is the time of a run over 10 rows. Memory is
the largest sum of the proportional set sizes of the driver and of all that Ray started.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.csv
import pyarrow.parquet as parquet

from benchmarks.bench_bulk import make_rows
from benchmarks.results_file import write
from tidegate.cluster.blocks import PartWriter
from tidegate.cluster.places import inputs_of
from tidegate.cluster.plan import Job, blocks_of
from tidegate.engine.predictor import Predictor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import clusters

FILES = 8
GROUP_ROWS = 25_000


def make_files(folder: Path, n: int) -> dict[str, Path]:
    """Write the rows as CSV and Parquet, in files for the cluster and in one for one machine."""
    make_rows(folder / "one.csv", n)
    options = pyarrow.csv.ConvertOptions(
        column_types={"keyword": pyarrow.string(), "text": pyarrow.string()}
    )
    parsing = pyarrow.csv.ParseOptions(newlines_in_values=True)
    table = pyarrow.csv.read_csv(folder / "one.csv", parse_options=parsing, convert_options=options)
    parquet.write_table(table, folder / "one.parquet", row_group_size=GROUP_ROWS)
    places = {kind: folder / kind for kind in ("csv", "parquet")}
    for place in places.values():
        place.mkdir()
    for k in range(FILES):
        part = table.slice(k * n // FILES, (k + 1) * n // FILES - k * n // FILES)
        parquet.write_table(part, places["parquet"] / f"{k}.parquet", row_group_size=GROUP_ROWS)
        pyarrow.csv.write_csv(part, places["csv"] / f"{k}.csv")
    parquet.write_table(table.slice(0, 10), folder / "ten.parquet")
    return places


def memory_bytes(roots: list[int]) -> int:
    """Return the proportional set size of processes and all that they started."""
    total = 0
    for pid in roots:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(x.split()[1]) for x in text.splitlines() if x.startswith("Pss:")) * 1024
        total += memory_bytes([int(child) for child in children])
    return total


def of_one_worker(model: str, place: Path, output: Path) -> dict[str, float]:
    """Score a folder as one worker of the cluster does, without Ray; return its rate."""
    predictor, job = Predictor.load(model), Job(model="any", text="text")
    predictor.predict_proba(["the first message makes the tables"])
    writer = PartWriter(predictor, job, str(output))
    start = time.process_time()
    blocks = [block for one in inputs_of(str(place)) for block in blocks_of(one, job)]
    planned = time.process_time()
    n_rows = sum(writer.outcome(block).rows for block in blocks)
    ended = time.process_time()
    return {"rows_a_core_s": n_rows / (ended - start), "planning_core_s": planned - start}


def run(words: list[str], *, watched: list[int]) -> dict[str, float]:
    """Run a command; return its seconds, its own peak of bytes, and that with what is watched."""
    start, own, peak = time.perf_counter(), 0, 0
    process = subprocess.Popen([sys.executable, "-m", "tidegate", *words])
    while process.poll() is None:
        mine = memory_bytes([process.pid])
        own, peak = max(own, mine), max(peak, mine + memory_bytes(watched))
        time.sleep(0.25)
    assert process.wait() == 0, words
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "own_mb": own / 1e6, "all_mb": peak / 1e6}


def processes_of(cluster: Any) -> list[int]:
    nodes = cluster.list_all_nodes()
    return [
        one.process.pid for node in nodes for all_ in node.all_processes.values() for one in all_
    ]


def sample_of(place: Path, folder: Path) -> Path:
    """Return a folder that leads to the first file of another."""
    folder.mkdir()
    first = sorted(place.iterdir())[0]
    (folder / first.name).symlink_to(first)
    return folder


def rows_of(place: Path) -> pyarrow.Table:
    """Return the rows of an output in the order of their number."""
    files = sorted(place.rglob("*.parquet")) if place.is_dir() else [place]
    table = pyarrow.concat_tables([parquet.read_table(path) for path in files])
    number = table["id"].cast(pyarrow.int64())
    return table.set_column(table.column_names.index("id"), "id", number).sort_by("id")


def killed(
    command: list[str], output: Path, cluster: Any, *, nodes: int, drivers: int, n_parts: int
) -> dict[str, Any]:
    """Kill nodes and drivers at moments spread over the run; return what it took."""
    rng, start, starts, again = random.Random(1), time.perf_counter(), 1, 0
    what = ["node"] * nodes + ["driver"] * drivers
    rng.shuffle(what)
    process = subprocess.Popen([sys.executable, "-m", "tidegate", *command])
    for k, one in enumerate(what):
        done = parts(output)
        while len(done) < n_parts * (k + 1) // (len(what) + 2):
            assert process.poll() is None
            time.sleep(0.05)
            done = parts(output)
        print(f"{len(done)} of {n_parts} parts: kill a {one}", flush=True)
        if one == "node":
            clusters.kill_node(cluster, rng.choice([1, 2]))
            clusters.add_node(cluster)
            continue
        process.kill()
        process.wait()
        time.sleep(2)  # what the cluster still does of a dead driver's is done
        done = parts(output)
        process = subprocess.Popen([sys.executable, "-m", "tidegate", *command, "--resume"])
        starts += 1
        time.sleep(1)
        again += sum(parts(output).get(name) != at for name, at in done.items())
    finished = parts(output)
    assert process.wait() == 0
    last = parts(output)
    again += sum(last.get(name) != at for name, at in finished.items())
    return {
        "nodes_killed": nodes, "drivers_killed": drivers, "starts": starts,
        "seconds": time.perf_counter() - start, "finished_parts_written_again": again,
    }  # fmt: skip


def parts(output: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in output.rglob("*.parquet")}


def compare(
    options: argparse.Namespace, folder: Path, places: dict[str, Path], cluster: Any
) -> dict[str, Any]:
    """Score the same rows on one machine and on the cluster."""
    watched, ray = processes_of(cluster), ["--ray", cluster.address]
    base = ["predict", options.model, "-i"]
    words = [*base, str(folder / "ten.parquet"), "-o", str(folder / "ten"), *ray]
    figures: dict[str, Any] = {"idle_cluster_mb": memory_bytes(watched) / 1e6}
    run(words, watched=watched)
    empty = run(words, watched=watched)  # the second time, as later runs are
    figures["start_up"] = empty
    for kind in options.kinds:
        one, output = folder / f"scored-{kind}.parquet", folder / f"out-{kind}"
        words = [*base, str(folder / f"one.{kind}"), "-o", str(one), "--threads", "2"]
        alone = run(words, watched=[])
        print(kind, alone, flush=True)
        found = run([*base, str(places[kind]), "-o", str(output), *ray], watched=watched)
        same = rows_of(output).equals(rows_of(one))
        size = sum(path.stat().st_size for path in output.rglob("*.parquet"))
        figures[f"one_machine_{kind}"] = alone
        figures[f"one_worker_{kind}"] = of_one_worker(
            options.model, sample_of(places[kind], folder / f"some-{kind}"), folder / f"w-{kind}"
        )
        beyond = found["seconds"] - empty["seconds"]
        figures[f"cluster_{kind}"] = {
            **found, "equal": same, "parts": len(parts(output)),
            "overhead_beyond_start_up": beyond / alone["seconds"] - 1,
            "bytes_out_a_message": size / options.rows,
        }  # fmt: skip
        print(kind, figures[f"cluster_{kind}"], flush=True)
        assert same
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--drivers", type=int, default=3)
    parser.add_argument("--name", default="cluster", help="of the file of results")
    parser.add_argument("--kinds", nargs="+", default=["csv", "parquet"])
    options = parser.parse_args()
    figures: dict[str, Any] = {"rows": options.rows, "files": FILES, "load": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = make_files(folder, options.rows)
        figures["bytes_a_message"] = {
            kind: (folder / f"one.{kind}").stat().st_size / options.rows for kind in places
        }
        cluster = clusters.begin()
        try:
            figures |= compare(options, folder, places, cluster)
            if options.kills + options.drivers:
                kind, output = options.kinds[-1], folder / "out-killed"
                command = ["predict", options.model, "-i", str(places[kind]), "-o", str(output)]
                figures["killed"] = killed(
                    [*command, "--ray", cluster.address], output, cluster,
                    nodes=options.kills, drivers=options.drivers,
                    n_parts=figures[f"cluster_{kind}"]["parts"],
                )  # fmt: skip
                rows = rows_of(output)
                same = rows.equals(rows_of(folder / f"scored-{kind}.parquet"))
                left = [str(path.relative_to(output)) for path in output.rglob(".*")]
                figures["killed"] |= {"equal": same, "rows": rows.num_rows, "left": left}
                print(figures["killed"], flush=True)
                assert same
        finally:
            cluster.shutdown()
    command = f"python -m benchmarks.bench_cluster MODEL --rows {options.rows}"
    print(write(options.name, figures, command=command))


if __name__ == "__main__":
    main()
