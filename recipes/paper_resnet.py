"""A ResNet trained with the DANs' numbers: its own training script is not published.

python train.py recipes/paper_resnet.py --RESNET_WEIGHTS resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5
"""

MODEL = "resnet"
OPTIMIZER = "sgd"
LEARNING_RATE = 0.001  # the rates of the epochs are logspace(-3, -6, 30)
LEARNING_RATE_DECAY = 0.7880462815669912  # 10 ** (-3 / 29)
MOMENTUM = 0.9
NEW_MOMENTUM_EACH_EPOCH = True
WEIGHT_DECAY = 0.0005
LOSS = "euclidean"
FLIP = True
BATCH_SIZE = 32
N_EPOCHS = 1  # the published script scores epoch 1
HEAD_INIT = "normal"
HEAD_STDDEV = 0.05
HEAD_BIAS = 0.0
MEAN = "training"  # the average image, as the authors' imdb.averageImage
