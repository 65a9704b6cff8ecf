"""Weights & Biases: one run for all sessions, online or offline as ``WANDB_MODE`` says."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from understudy.errors import UnderstudyError
from understudy.reports.trackers.tracked_run import PROJECT, TrackedRun

_PATIENCE_SECONDS = 30.0
"""So long the beginning waits for the server, and the end for what is still to be sent."""


class WeightsAndBiases:
    """A W&B run; its files are under ``wandb/`` of the run's folder, and tell nothing of machine, user or code.

    Raises:
        UnderstudyError: there is no key; nobody is asked for one.
    """

    def __init__(self, run: TrackedRun) -> None:
        import wandb  # an extra

        self._wandb, self._folder = wandb, run.path / "wandb"
        settings = wandb.Settings(
            silent=True,
            console="off",
            disable_code=True,
            disable_git=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
            host="hidden",
            init_timeout=_PATIENCE_SECONDS,
            finish_timeout=_PATIENCE_SECONDS,
            finish_timeout_raises=True,
        )
        mode = wandb.setup(settings).settings.mode
        if mode == "online" and not wandb.login(prompt=False):
            raise UnderstudyError("no API key", remedy="Set WANDB_API_KEY, or WANDB_MODE=offline to send it later.")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=run.name,
            id=run.id,
            resume="allow",
            reinit="create_new",
            dir=str(run.path),
            config=dict(run.config),
            settings=settings,
        )
        offline = f"{mode} in {run.path / 'wandb'}; `wandb sync {run.path / 'wandb'}/offline-run-*` sends it"
        self.where = self._run.url or offline

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Hand the figures over; of a step that was sent before, the server keeps what it has."""
        with self._told():
            self._run.log(dict(figures), step=step)

    def close(self) -> None:
        """Send what is left; what does not get through stays in the folder.

        Raises:
            UnderstudyError: something did not.
        """
        with self._told():
            self._run.finish()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Its errors in words of ours: of most of them it has none."""
        later = f"`wandb sync {self._folder}/run-*` sends them"
        try:
            yield
        except TimeoutError as error:
            where = self._wandb.setup().settings.base_url
            what = f"{where} did not take the last of them in {_PATIENCE_SECONDS:g} s"
            raise UnderstudyError(what, remedy=later) from error
        except Exception as error:
            if not isinstance(error, ConnectionError) and str(error):
                raise
            with suppress(Exception):  # or it would try again, and fail, when this program ends
                self._wandb.teardown()
            raise UnderstudyError("its own process, wandb-core, has ended", remedy=later) from error
