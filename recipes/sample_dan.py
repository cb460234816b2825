"""DAN on the drawn sample: train.py's defaults, in smaller batches since the sample has few frames."""

MODEL = "dan"
BATCH_SIZE = 4
