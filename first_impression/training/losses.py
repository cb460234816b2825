"""What is minimised: the loss of each example [n], of what is predicted and true of it [n, targets]."""


def squared_error(predicted, true):
    """The mean over the targets of the squared error."""
    import tensorflow as tf

    return tf.reduce_mean(tf.square(predicted - true), axis=1)


def euclidean_distance(predicted, true):
    """The distance over all targets, not squared."""
    import tensorflow as tf

    return tf.sqrt(tf.reduce_sum(tf.square(predicted - true), axis=1) + 1e-12)  # the root has no slope at 0


LOSSES = {"squared": squared_error, "euclidean": euclidean_distance}  # by LOSS of train.py
