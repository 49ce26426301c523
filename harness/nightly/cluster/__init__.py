"""The same night on many machines, over dask.distributed. Imported only where `--cluster` is asked for."""
