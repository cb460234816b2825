"""The paper's DAN: python train.py recipes/paper_dan.py"""

MODEL = "dan"
OPTIMIZER = "sgd"
LEARNING_RATE = 0.001  # the authors' rates are logspace(-3, -6, 30), one per epoch
LEARNING_RATE_DECAY = 0.7880462815669912  # 10 ** (-3 / 29)
MOMENTUM = 0.9
WEIGHT_DECAY = 0.0005
LOSS = "euclidean"
FLIP = True
BATCH_SIZE = 32
N_EPOCHS = 10
HEAD_STDDEV = 0.05
HEAD_BIAS = 0.0
