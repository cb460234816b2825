"""What the scripts are made of: one package per task. Imports only go down this list, or stay within a package.

sample/      a small drawn dataset in ChaLearn's layout
page/        a web page to record or choose a clip and see its predictions
inference/   from a clip to its predictions: decoding, the models, evidence, pictures
sharing/     publishing trained runs, and opening them from a folder, a zip or an address
training/    devices, the training step, optimizers, checkpoints, saved models
evaluation/  scores, ChaLearn's CSV of predictions, plots
data/        the dataset on disk: clips, labels, frames, sound, records, VGG-Face
common/      settings and their flags, one-line errors, complete files, checksums, parallel work
"""

import os

# TensorFlow's start-up messages would bury ours; its warnings and errors are still shown
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
