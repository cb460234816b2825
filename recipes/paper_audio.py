"""The paper's linear regressor on sound: python train.py recipes/paper_audio.py"""

MODEL = "audio"
OPTIMIZER = "sgd"
LEARNING_RATE = 0.00083
LEARNING_RATE_UPDATE_DECAY = 1.01e-6
MOMENTUM = 0.9
DAMPENING = 0.9  # Torch dampens by the momentum by default, except at its first update
WEIGHT_DECAY = 6.5
LOSS = "squared"
BATCH_SIZE = 128
KEEP_EPOCHS = False
N_EPOCHS = 100
