"""The process that drives Spark. It and ``spark_daemon`` import pyspark, and no other module of ours does.

A line of its input asks for a plan to be done; a line of its output answers. Once its input ends, so does it, and with
it the JVM, whose input is a pipe of this process. Spark is configured by the file in ``SPARK_CONF_DIR``.
"""

import json
import os
import sys
import threading
from functools import partial
from queue import SimpleQueue
from typing import IO, Any

from nightshift.engine.spark_worker import answers

MOST_SAID = 20_000


def main() -> None:
    """Start Spark, say so, and do what is asked until nobody asks any more."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed goes to the log
    plans: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=(plans,), daemon=True).start()
    try:
        spark = _session()
        _say(out, {"spark": spark.version})
        while True:
            asked = json.loads(plans.get())
            _say(out, _ran(spark, asked["plan"], asked["shards"]))
    except Exception as error:  # noqa: BLE001 it is told, and the log has the rest
        _say(out, {"failed": f"{type(error).__name__}: {error}"[:MOST_SAID]})


def _read(plans: "SimpleQueue[str]") -> None:
    for line in sys.stdin:
        plans.put(line)
    # Whoever asked is gone, or needs no more: the JVM sees its input end, and ends.
    os._exit(0)


def _session() -> Any:
    from pyspark.sql import SparkSession

    return SparkSession.builder.getOrCreate()


def _ran(spark: Any, plan: str, shards: int) -> dict[str, Any]:
    """Return what each shard's worker says, by number."""
    numbers = spark.range(0, shards, 1, shards)
    rows = numbers.mapInArrow(partial(answers, plan), "number long, answer string").collect()
    return {str(row.number): json.loads(row.answer) for row in rows}


def _say(out: IO[str], said: dict[str, Any]) -> None:
    out.write(json.dumps(said) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
