"""The file from which a stopped training resumes: the model, the optimizer and the progress."""

import json
from dataclasses import asdict, dataclass, field

import numpy as np

from first_impression.common.errors import UserError, damage_as_user_error
from first_impression.common.files import whole_file
from first_impression.training.opening import check_architecture, open_whole_zip
from first_impression.training.saved_models import CHECKPOINT, refuse_nonfinite

ABOUT = "about"  # the name of the JSON text among the checkpoint's arrays


@dataclass
class TrainingState:
    """How far a training is. With the variables, this is all it needs to resume as if it had not stopped."""

    epoch: int = 0  # epochs that are done
    step: int = 0  # steps done in the current epoch
    loss_sum: float = 0.0  # over the records of the current epoch so far
    losses: list = field(default_factory=list)  # [step since the start, mean loss of the epoch so far]
    history: list = field(default_factory=list)  # the rows of history.csv, dicts
    about: dict = field(default_factory=dict)  # the constants, the records, and what else settings.json has

    def end_epoch(self, row):
        """Add the epoch's row of the history, and begin the next one."""
        self.history.append(row)
        self.epoch, self.step, self.loss_sum = self.epoch + 1, 0, 0.0


def save(folder, model, optimizer, state):
    """Write the checkpoint of the run in `folder`: a model, its optimizer and its `TrainingState`.

    Raises `UserError` where a weight is not finite.
    """
    refuse_nonfinite(model, folder / CHECKPOINT)
    about = {"architecture": model.to_json(), "progress": asdict(state)}
    arrays = {variable.path: np.asarray(variable) for variable in model.variables + optimizer.variables}
    with whole_file(folder / CHECKPOINT) as tmp, open(tmp, "wb") as file:
        np.savez(file, **arrays, **{ABOUT: np.array(json.dumps(about))})


def load(folder, make_optimizer):
    """(model, optimizer, state) as `save` was given them; `make_optimizer(model)` builds the optimizer.

    Raises `UserError` for a damaged checkpoint, and for one of another model or optimizer.
    """
    import keras

    architecture, arrays, state = read(folder)
    model = keras.models.model_from_json(architecture)
    optimizer = make_optimizer(model)
    variables = model.variables + optimizer.variables
    if {variable.path: tuple(variable.shape) for variable in variables} != {n: a.shape for n, a in arrays.items()}:
        raise UserError(f"{folder / CHECKPOINT} is of another model or optimizer: train under another NAME")
    for variable in variables:
        variable.assign(arrays[variable.path])
    return model, optimizer, state


def read(folder):
    """(the model as JSON, {variable's path: array}, `TrainingState`). Raises `UserError` for a damaged checkpoint."""
    file = folder / CHECKPOINT
    with damage_as_user_error(f"{file} is damaged", "train under another NAME, or move its folder away"):
        with open_whole_zip(file), np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        about = json.loads(str(arrays.pop(ABOUT)))
        check_architecture(json.loads(about["architecture"]))
        about["progress"].pop("final", None)  # of checkpoints from before the record of models (saved_models.py)
        state = TrainingState(**about["progress"])
        if not state.about.keys() >= {"constants", "records", "start"}:
            raise ValueError("it does not say what it was made from")
        return about["architecture"], arrays, state
