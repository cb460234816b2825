"""A head on DAN as its weights file left it, without a GPU: python train.py recipes/head_dan.py"""

MODEL = "dan"
TRAIN = "head"
