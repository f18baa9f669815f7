"""A Dask cluster as the place where shards are rendered and written (optional extra [distributed])."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Final

from ruo2_voxel.errors import MissingExtraError, StoreError

ANSWER_WITHIN: Final = "20s"


@contextlib.contextmanager
def connect(address: str) -> Iterator[tuple[Executor, int]]:
    """An executor on an existing cluster, and the number of threads there.

    Frames are read here and sent along with each shard; what comes back is a marker of a few hundred bytes. The
    workers must see the store's location under the same name, and have this package installed.

    Raises
    ------
    MissingExtraError
        Dask is not installed.
    StoreError
        No scheduler answers at the address, it has no workers, or its workers die over a shard.
    """
    try:
        from distributed import Client, KilledWorker
        from distributed.comm.addressing import resolve_address
    except ImportError:
        raise MissingExtraError("--scheduler", "distributed") from None
    try:
        resolve_address(address)  # a client that fails over a misspelt address takes long to go away
        client = Client(address, timeout=ANSWER_WITHIN, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise StoreError(
            f"{address}: must be a Dask scheduler that answers, such as tcp://host:8786; found: {error}"
        ) from None
    with client:
        n_threads = sum(client.nthreads().values())
        if n_threads == 0:
            raise StoreError(
                f"{address}: the scheduler must have workers; found none. Start some, then go on with --resume"
            )
        executor = client.get_executor(pure=False)
        try:
            yield executor, n_threads
        except KilledWorker as error:
            raise StoreError(
                f"{address}: the workers must live until their shards are written; found {error} Give them more "
                f"memory or smaller shards; those already complete are kept, --resume goes on from there"
            ) from error
        finally:
            executor.shutdown()
