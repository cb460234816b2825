"""A ResNet beside the DANs, as the paper has one, whose details are not published.

python train.py recipes/paper_resnet.py --RESNET_WEIGHTS resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5
"""

MODEL = "resnet"
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
