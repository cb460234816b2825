"""The paper's linear regressor on sound: python train.py recipes/paper_audio.py"""

MODEL = "audio"
OPTIMIZER = "sgd"
LEARNING_RATE = 0.00083
MOMENTUM = 0.9
WEIGHT_DECAY = 6.5
LOSS = "squared"
BATCH_SIZE = 128
N_EPOCHS = 100
