"""A head on ResNet-50 as ImageNet left it, without a GPU.

python train.py recipes/head_resnet.py --RESNET_WEIGHTS resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5
"""

MODEL = "resnet"
TRAIN = "head"
