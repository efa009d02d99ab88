"""What Spark forks its Python workers from: the libraries are imported once an executor, not once a worker."""

from pyspark.daemon import manager

import nightshift.engine.shards  # noqa: F401 what the workers run

if __name__ == "__main__":
    manager()
