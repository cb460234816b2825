"""The audio model in closed form, in seconds: python train.py recipes/head_audio.py"""

MODEL = "audio"
TRAIN = "head"
