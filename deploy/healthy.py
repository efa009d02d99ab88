"""Health checks without curl: healthy.py URL [COMPONENT]

Exit code 0 if URL answers 200 and, where a component is named, Airflow's health report at URL calls it
healthy. The heartbeat is what counts: a process may live and do nothing. `airflow jobs check` asks the same
question at the cost of importing Airflow each time (10 CPU-seconds).
"""

import json
import sys
import urllib.request


def main(url: str, component: str | None = None) -> int:
    """Return the exit code; print what is wrong."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=10) as answer:
            report = answer.read()
    except OSError as error:
        print(f"{url}: {error}")
        return 1
    if component is None:
        return 0
    status = (json.loads(report).get(component) or {}).get("status")
    print(f"{component}: {status}")
    return 0 if status == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
