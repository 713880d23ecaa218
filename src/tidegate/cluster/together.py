"""One network trained by several workers of a cluster at once.

Takes prepared rows; leaves in a workspace the checkpoint that training here would have left at its
end. Each step, each worker works out the gradient of its part of the batch, and all change the same
weights by the sum (synchronous data parallelism: Li et al. 2020, arXiv 2006.15704). Ray Train runs
the workers, keeps a checkpoint an epoch, and begins again from the last one if a worker is lost.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
import ray.train
import torch
from ray.train import Checkpoint, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from torch import Tensor

from tidegate.cluster.session import cores
from tidegate.errors import ConfigError
from tidegate.training.checkpoint import Workspace
from tidegate.training.loop import Epoch
from tidegate.training.prepare import Prepared, prepare
from tidegate.training.threads import torch_threads
from tidegate.training.train import Together, Weights, fit_network

MOST_LOST = 8  # workers, in one training


def together(workers: int) -> Together:
    """Return what trains a network by so many workers; it is what `Learner.together` takes.

    One core each. With one worker the weights are those of training here, to the last bit; with
    more of them the sums are rounded in another order, and dropout draws other numbers.

    Raises
    ------
    ConfigError
        The cluster has fewer cores. It is the function returned that raises it.
    """

    def train(
        prepared: Prepared, sample_weight: Weights | None, work: Workspace, name: str
    ) -> None:
        finished = f"{name}.together"
        if work.kept(finished) is not None:
            return
        if workers > cores():  # Ray would wait for more of them for ever
            raise ConfigError(f"workers: found {workers}; the cluster has {cores()} cores now")
        storage = (work.folder / finished).resolve()
        # Each worker reads the rows itself: their tables would be larger to send than the texts.
        rows = {"train": prepared.train_rows, "test": prepared.test_rows}
        sent = ray.put((prepared.dataset, prepared.config, rows, sample_weight))
        trainer = TorchTrainer(
            _work,
            train_loop_config={"rows": sent, "name": name},
            torch_config=TorchConfig(backend="gloo"),
            scaling_config=ScalingConfig(num_workers=workers, resources_per_worker={"CPU": 1}),
            run_config=RunConfig(
                name="run", storage_path=str(storage),
                failure_config=FailureConfig(max_failures=MOST_LOST),
            ),
        )  # fmt: skip
        result = trainer.fit()
        if result.checkpoint is None:
            raise ConfigError(f"ray: the training of {workers} workers left no checkpoint")
        with result.checkpoint.as_directory() as folder:
            shutil.copyfile(_file(folder, name), work.folder / f"{name}.safetensors")
        work.keep(finished, {}, {})
        shutil.rmtree(storage, ignore_errors=True)

    return train


class _Workers:
    """The workers of one training, each a process of Ray Train's."""

    def __init__(self) -> None:
        context = ray.train.get_context()
        self.rank, self.size = context.get_world_rank(), context.get_world_size()

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put into each tensor the sum of what all workers have in it."""
        flat = torch.cat([one.reshape(-1) for one in tensors])
        torch.distributed.all_reduce(flat)
        parts = flat.split([one.numel() for one in tensors])
        for one, part in zip(tensors, parts, strict=True):
            one.copy_(part.view_as(one))


def _work(about: dict[str, Any]) -> None:
    """Train as one of the workers, from the last checkpoint on if there is one."""
    dataset, config, rows, sample_weight = ray.get(about["rows"])
    prepared = prepare(dataset, config, **rows)
    name, team = about["name"], _Workers()
    with TemporaryDirectory() as folder:
        work = Workspace(Path(folder))
        before = ray.train.get_checkpoint()
        if before is not None:
            with before.as_directory() as kept:
                shutil.copyfile(_file(kept, name), _file(folder, name))

        def on_epoch(epoch: Epoch) -> None:
            first = team.rank == 0  # all hold the same weights: one of them keeps them
            ray.train.report(
                {"epoch": epoch.number, "loss": epoch.loss},
                checkpoint=Checkpoint.from_directory(folder) if first else None,
            )

        with torch_threads(1):
            fit_network(
                prepared, sample_weight, None, work=work, name=name,
                team=team if team.size > 1 else None, on_epoch=on_epoch,
            )  # fmt: skip


def _file(folder: str, name: str) -> Path:
    """Return where a workspace keeps a checkpoint."""
    return Path(folder) / f"{name}.safetensors"
