"""Everything that a training writes into its run's folder. Of several workers only the first writes."""

import contextlib
import time

import pandas as pd

from first_impression.common import files
from first_impression.data.targets import of_json
from first_impression.evaluation import predictions
from first_impression.training import checkpoint, saved_models

SECONDS_BETWEEN_CURVES = 10  # drawn after each epoch of a second, they would take half of a training


@contextlib.contextmanager
def open_run(folder, writes):
    """The `RunWriter` of the run in `folder`; a second training is kept out in the block.

    A worker that does not write, since another one does, gets a `NoWriter`. Where nothing came of the run, not even the
    folder above it stays.
    """
    if not writes:
        yield NoWriter()
        return
    new = [parent for parent in folder.parents if not parent.exists()]
    try:
        with files.locked(folder.with_name(f".{folder.name}.lock"), f"a training of {folder}"):
            yield RunWriter(folder)
    finally:
        with contextlib.suppress(OSError):  # it holds a run
            for parent in new:
                parent.rmdir()


class RunWriter:
    """Writes one run's files, from what `begin` is given. A weight that is not finite raises `UserError`."""

    def __init__(self, folder):
        self._folder, self._board, self._drawn = folder, None, time.monotonic()

    def begin(self, model, optimizer, state, labels):
        """Note how and on what `model` is trained: settings.json, and the training `labels`, {clip: [targets]}."""
        self._model, self._optimizer, self._state = model, optimizer, state
        files.write_json(self._folder / "settings.json", state.about)
        predictions.write_csv(self._folder / saved_models.TRAINING_LABELS, labels, of_json(state.about))

    def remove_final(self):
        """Remove final.keras: of fewer epochs than the history beside it, it would pass for the trained model."""
        files.remove(self._folder / saved_models.FINAL)

    def save_checkpoint(self):
        """Write what a stopped training resumes from."""
        checkpoint.save(self._folder, self._model, self._optimizer, self._state)

    def end_epoch(self, keep, made_from, is_last):
        """Write the history, a checkpoint, and the epoch's model if it is to `keep` or the best so far.

        `made_from` is noted beside the model. The curves are drawn where that was not done a moment ago, and at last.
        """
        rows = self._state.history
        self._write_history(rows)
        if is_last or time.monotonic() - self._drawn > SECONDS_BETWEEN_CURVES:
            self._draw_curves()
        if keep:
            saved_models.save(self._model, self._folder / f"epoch-{self._state.epoch}.keras", made_from)
        by = "clip_mean" if "clip_mean" in rows[-1] else "frame_mean"  # the validation accuracy
        if max(rows, key=lambda row: row[by]) is rows[-1]:  # the first of equals wins
            saved_models.save(self._model, self._folder / saved_models.BEST, made_from)
        self.save_checkpoint()

    def finish(self, made_from):
        """Write final.keras, unless it is there. Raises `UserError` where another model of the run has changed."""
        files.write_json(self._folder / "settings.json", self._state.about)  # with what the training has found
        if not saved_models.is_final(self._folder, made_from):
            saved_models.save(self._model, self._folder / saved_models.FINAL, made_from)
        saved_models.verify(self._folder, files.listed(self._folder, "[!.]*.keras"))

    def _write_history(self, rows):
        import tensorflow as tf

        with files.whole_file(self._folder / "history.csv") as tmp:
            pd.DataFrame(rows).to_csv(tmp, index=False)
        self._board = self._board or tf.summary.create_file_writer(str(self._folder / "logs"))  # makes its file at once
        with self._board.as_default(step=rows[-1]["epoch"]):
            for name, value in rows[-1].items():
                if name == "training_loss" or name.endswith("_mean"):
                    tf.summary.scalar(name, value)

    def _draw_curves(self):
        from first_impression.evaluation import plots  # here, since Matplotlib takes seconds

        title = f"{self._folder.name}, from {self._state.about['start']['words']}"
        targets = of_json(self._state.about)
        plots.draw_curves(self._folder / "curves.png", self._state.losses, self._state.history, title, targets)
        self._drawn = time.monotonic()


class NoWriter:
    """In the place of a `RunWriter`: writes nothing."""

    def begin(self, *_):
        """Do nothing, like the other methods."""

    remove_final = save_checkpoint = end_epoch = finish = begin
