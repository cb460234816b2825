"""How a run begins: with a new model, or where a stopped training of it has left off."""

from first_impression.common.errors import UserError, name_some
from first_impression.common.files import listed
from first_impression.common.settings import refuse_other_constants
from first_impression.training import checkpoint, number_format, saved_models
from first_impression.training.runs import EARLIER


def begin_or_resume(folder, about, new_model, make_optimizer, precision, free_to_change):
    """(model, optimizer, `TrainingState`): new ones, or as a stopped run in the `folder` left them.

    `about` is what settings.json shall say of the run, "records" and "constants" among it; `new_model()` gives (a model
    with its first weights, what these are), `make_optimizer(model)` its optimizer, and `precision` is MIXED_PRECISION.
    Raises `UserError` where a stopped run had other records or constants, but for the names in `free_to_change`, or
    where models stand without its checkpoint.
    """
    if not (folder / saved_models.CHECKPOINT).exists():
        _refuse_models(folder)
        model, start = new_model()
        model = number_format.in_format(model, number_format.choose(precision))
        made_by = saved_models.made_by(number_format.format_of(model))
        state = checkpoint.TrainingState(about={"records": about["records"], "start": start, "made_by": made_by})
        optimizer = make_optimizer(model)
    else:
        earlier = EARLIER | checkpoint.read(folder)[2].about["constants"]
        refuse_other_constants(folder, earlier, {"TRAIN": about["constants"]["TRAIN"]})
        model, optimizer, state = checkpoint.load(folder, make_optimizer)
        records = state.about["records"]
        if other := [name for name, fingerprint in about["records"].items() if records[name] != fingerprint]:
            what = f"{folder} was trained on other {' and '.join(other)} records"
            raise UserError(f"{what}: bring those back, or train under another NAME")
        refuse_other_constants(folder, earlier, about["constants"], free_to_change)
        print(f"{folder}: going on after epoch {state.epoch}, step {state.step}")
    state.about |= about
    return model, optimizer, state


def _refuse_models(folder):
    if models := listed(folder, "[!.]*.keras"):
        names = name_some(path.name for path in models)
        raise UserError(
            f"{folder} holds models ({names}) without the checkpoint of their training, so it can be neither "
            "resumed nor begun: train under another NAME, or move them away"
        )
