"""A head on DAN+ as its weights file left it, without a GPU: python train.py recipes/head_dan_plus.py"""

MODEL = "dan_plus"
TRAIN = "head"
