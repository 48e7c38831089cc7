"""TensorFlow writes files itself: its errors as those of the system."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from srgan.system import memory

_ERRNO = {
    "ResourceExhaustedError": errno.ENOSPC,
    "OutOfRangeError": errno.EFBIG,
    "PermissionDeniedError": errno.EACCES,
    "NotFoundError": errno.ENOENT,
}  # by TensorFlow's error


@contextmanager
def as_os_errors() -> Iterator[None]:
    """Turn an error of TensorFlow in writing or reading a file into an OSError.

    A shortage of memory stays what it is.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if memory.is_shortage(error):
            raise
        number = _ERRNO.get(type(error).__name__, errno.EIO)
        raise OSError(number, error.message.rsplit("; ", 1)[-1]) from error
