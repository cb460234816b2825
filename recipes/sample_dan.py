"""DAN on the drawn sample: the numbers of train.py, in smaller batches since the sample has few frames."""

MODEL = "dan"
BATCH_SIZE = 4
