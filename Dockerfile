# One image for Airflow's components, the MLflow server and the `nightshift` command; target `spark`: with Apache Spark;
# target `kubernetes`: with the executor that gives each task a pod.
FROM python:3.11.14-slim-bookworm AS installed

WORKDIR /build
COPY requirements/bootstrap.lock requirements/runtime.lock ./
# Hashes or nothing: a changed file, or a changed hash, stops the build.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r bootstrap.lock \
    && /venv/bin/uv pip install --no-cache --python /venv/bin/python --require-hashes --compile-bytecode -r runtime.lock \
    && /venv/bin/uv pip uninstall --python /venv/bin/python uv

FROM installed AS spark-installed
COPY requirements/spark.lock ./
# pyspark is a source archive: what builds it is in the lock, too.
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r bootstrap.lock \
    && /venv/bin/uv pip install --no-cache --python /venv/bin/python --require-hashes --build-constraints spark.lock -r spark.lock

# No dependency is looked up: what is not in this file is in runtime.lock.
FROM installed AS kubernetes-installed
COPY requirements/kubernetes.lock ./
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r bootstrap.lock \
    && /venv/bin/uv pip install --no-cache --python /venv/bin/python --require-hashes --no-deps --compile-bytecode --target /kubernetes -r kubernetes.lock

FROM python:3.11.14-slim-bookworm AS nightshift

# The folders that become volumes belong to the user, so that the volumes do.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin nightshift \
    && install -d -o nightshift -g nightshift -m 0750 /airflow /logs /objects /mlflow /scratch

COPY --from=installed /venv /venv
COPY pyproject.toml airflow_settings.yaml /nightshift/
COPY requirements /nightshift/requirements
COPY deploy /nightshift/deploy
COPY dags /nightshift/dags
COPY plugins /nightshift/plugins
COPY include /nightshift/include
# Readable whatever the umask of the checkout; only root may write.
RUN chmod -R u=rwX,go=rX /nightshift && ln -s /nightshift/deploy/nightshift /usr/local/bin/nightshift

ARG NIGHTSHIFT_CODE_COMMIT=unknown
ENV NIGHTSHIFT_CODE_COMMIT=$NIGHTSHIFT_CODE_COMMIT \
    PATH=/venv/bin:$PATH \
    PYTHONPATH=/nightshift/include \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    AIRFLOW_HOME=/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/nightshift/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/nightshift/plugins \
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=/logs \
    AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY=/logs/dag-processor

# Nothing calls home.
ENV DO_NOT_TRACK=true \
    SCARF_ANALYTICS=false \
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=false \
    MLFLOW_DISABLE_TELEMETRY=true \
    GX_ANALYTICS_ENABLED=false \
    GIT_PYTHON_REFRESH=quiet

# One native thread a task: two under contention took six times as long.
ENV OMP_NUM_THREADS=1 \
    OMP_WAIT_POLICY=PASSIVE \
    OPENBLAS_NUM_THREADS=1 \
    MKL_NUM_THREADS=1 \
    NUMEXPR_NUM_THREADS=1 \
    JE_ARROW_MALLOC_CONF=background_thread:false

WORKDIR /nightshift
USER 10001:10001
ENTRYPOINT ["sh", "/nightshift/deploy/entrypoint.sh"]

# For the workers of `compute: spark` models, and for a cluster's own: docker build --target spark .
FROM nightshift AS spark
USER root
RUN apt-get update && apt-get install -y --no-install-recommends openjdk-17-jre-headless && rm -rf /var/lib/apt/lists/*
COPY --from=spark-installed /venv/lib/python3.11/site-packages/pyspark /venv/lib/python3.11/site-packages/pyspark
COPY --from=spark-installed /venv/lib/python3.11/site-packages/py4j /venv/lib/python3.11/site-packages/py4j
USER 10001:10001

# For deploy/kubernetes: docker build --target kubernetes .
FROM nightshift AS kubernetes
COPY --from=kubernetes-installed /kubernetes /venv/lib/python3.11/site-packages

# The last one is what is built where no target is named.
FROM nightshift
