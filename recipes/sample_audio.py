"""The audio model on the drawn sample: recipes/paper_audio.py, cut to a quarter of its epochs."""

MODEL = "audio"
OPTIMIZER = "sgd"
LEARNING_RATE = 0.00083
MOMENTUM = 0.9
WEIGHT_DECAY = 6.5
LOSS = "squared"
BATCH_SIZE = 128
N_EPOCHS = 25
