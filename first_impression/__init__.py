"""What the scripts are made of, one room per act. Imports only go down this list, or stay in a room.

sample/      a small drawn dataset in ChaLearn's layout
page/        a page to record or choose a clip in, and to look at its answer
inference/   a clip answered: decoded, asked of the models, explained, drawn
sharing/     trained runs given away, and taken from a folder, a zip or an address
training/    devices, the training step, checkpoints, saved models
evaluation/  scores, ChaLearn's CSV of predictions, plots
data/        the dataset as it lies on disk: clips, labels, frames, sound, records, VGG-Face
common/      constants to flags, errors to one line, whole files, many things at a time
"""

import os

# TensorFlow's start-up notes would bury our own lines; its warnings and errors stay
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
