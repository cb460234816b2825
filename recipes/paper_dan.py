"""The paper's DAN: python train.py recipes/paper_dan.py

The paper's frames are 92 a clip, evenly spread: python Video_to_Image.py --FRAMES_PER_CLIP 92, as run_pipeline.sh paper
does. The published test script takes the first 92 of 459 by a slip: --SAMPLING first (docs/faithfulness.md).
"""

MODEL = "dan"
OPTIMIZER = "sgd"
LEARNING_RATE = 0.001  # the rates of the epochs are logspace(-3, -6, 30)
LEARNING_RATE_DECAY = 0.7880462815669912  # 10 ** (-3 / 29)
MOMENTUM = 0.9
NEW_MOMENTUM_EACH_EPOCH = True
WEIGHT_DECAY = 0.0005
LOSS = "euclidean"
FLIP = True
BATCH_SIZE = 32
N_EPOCHS = 1  # the published scripts score epoch 1 and say that 2 may be used too; their training runs 10
HEAD_INIT = "normal"
HEAD_STDDEV = 0.05
HEAD_BIAS = 0.0
MEAN = "training"  # the average image, as the authors' imdb.averageImage
