"""The start of TensorFlow, which takes seconds and says much."""

import os
import sys
import tempfile

NVIDIA_DRIVER = "/proc/driver/nvidia/version"


def load_tensorflow():
    """Import TensorFlow (seconds) and let it look for GPUs, without the notes that it prints meanwhile.

    They come out where they matter: if the import fails, or a machine with an NVIDIA driver shows no GPU.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        matter = True
        os.dup2(notes.fileno(), 2)
        try:
            import tensorflow

            gpus = tensorflow.config.list_physical_devices("GPU")
            for gpu in gpus:
                tensorflow.config.experimental.set_memory_growth(gpu, True)  # take what is needed: others may use it
            matter = not gpus and os.path.exists(NVIDIA_DRIVER)
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            if matter:
                notes.seek(0)
                os.write(2, notes.read())
