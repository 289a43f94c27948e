# One file, two images: `live` is what a trading host needs, `pipelines` adds Dagster, MLflow and the trainers.
# Build: docker compose --profile paper build, or make image (no engine needed). docs/how-to/run-on-servers.md
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/app/var/numba \
    MPLCONFIGDIR=/tmp/matplotlib \
    OMP_NUM_THREADS=1 \
    DO_NOT_TRACK=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
    GIT_PYTHON_REFRESH=quiet \
    DAGSTER_HOME=/app/var/dagster \
    DAGSTER_RUN_STATUS_SENSOR_PROCESS_LIMIT=50 \
    DAGSTER_RUN_STATUS_SENSOR_FETCH_LIMIT=100
WORKDIR /app
# A new volume takes over owner and mode of the folder it is mounted on.
RUN groupadd --gid 10001 tidegate \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin tidegate \
    && install -d -o 10001 -g 10001 /app/var /app/var/dagster /app/data/parquet /app/models/registry /artifacts

FROM base AS live_packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY pyproject.toml requirements.lock README.md ./
RUN python3 -m venv /opt/venv && pip install --quiet --constraint requirements.lock ".[live]"

FROM live_packages AS pipeline_packages
RUN pip install --quiet --constraint requirements.lock ".[live,pipelines,server,scale]"

FROM base AS live
COPY --from=live_packages /opt/venv /opt/venv
COPY archive archive
COPY bus bus
COPY config config
COPY evaluation evaluation
COPY live live
COPY market market
COPY monitoring monitoring
COPY registry registry
COPY data/reference data/reference
USER 10001:10001
CMD ["python", "-m", "live", "--help"]

FROM base AS pipelines
# LightGBM's wheel looks for the compiler's runtime of threads on the machine.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
COPY --from=pipeline_packages /opt/venv /opt/venv
COPY archive archive
COPY bus bus
COPY config config
COPY evaluation evaluation
COPY live live
COPY market market
COPY monitoring monitoring
COPY registry registry
COPY pipelines pipelines
COPY tidegate tidegate
COPY scripts scripts
COPY docs/runbook.md docs/runbook.md
COPY workspace.yaml pyproject.toml requirements.lock ./
COPY data/reference data/reference
# Runs and versions name the commit that made them; there is no git in the image.
ARG GIT_COMMIT=unknown
ENV GIT_COMMIT=${GIT_COMMIT}
USER 10001:10001
CMD ["python", "-m", "tidegate", "--help"]
