"""Starting TensorFlow, which takes seconds and prints pages of notes."""

import contextlib
import gc
import os
import sys
import tempfile

NVIDIA_DRIVER = "/proc/driver/nvidia/version"


def load_tensorflow():
    """Import TensorFlow (seconds) and let it look for GPUs, holding back the notes that it prints on stderr.

    They are printed after all if the import fails, or if a machine with an NVIDIA driver shows no GPU.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        print_notes = True
        os.dup2(notes.fileno(), 2)
        try:
            with _uncollected():
                import tensorflow

            gpus = tensorflow.config.list_physical_devices("GPU")
            for gpu in gpus:
                tensorflow.config.experimental.set_memory_growth(gpu, True)  # leave the rest to others
            print_notes = not gpus and os.path.exists(NVIDIA_DRIVER)
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            if print_notes:
                notes.seek(0)
                os.write(2, notes.read())


@contextlib.contextmanager
def _uncollected():
    """Let Python's garbage collector rest in the block, and pass over what is there at its end from then on.

    It would look through the half million objects of an import again and again, for a quarter of the import's time.
    """
    if "tensorflow" in sys.modules:  # there is garbage among what is there by now
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
