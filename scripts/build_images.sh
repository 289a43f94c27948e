#!/usr/bin/env bash
# Build the images with buildah alone (no engine, no daemon) and ask each what it holds. Root, or a user with subuids.
#   BASE=...   another base image with Python 3.11+, default docker.io/library/python:3.11-slim-bookworm; pulled when it is not there
#   TARGETS=.. which stages, default "live pipelines"
#   ROOT=...   folder of buildah's storage, default its own
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v buildah >/dev/null; then
    echo "make image needs buildah, and there is none here; on Debian: apt-get install buildah" >&2
    exit 1
fi
storage=(--storage-driver vfs ${ROOT:+--root "$ROOT" --runroot "$ROOT.run"})

# pip inside finds the index, and trusts it, as pip outside does.
borrowed=()
for place in /etc/pip.conf /etc/xdg/pip /etc/ssl/certs /usr/local/share/ca-certificates; do
    if [ -e "$place" ]; then borrowed+=(--volume "$place:$place:ro"); fi
done

for target in ${TARGETS:-live pipelines}; do
    echo "== building tidegate-$target"
    buildah "${storage[@]}" bud --isolation chroot --network host --format docker --layers=false \
        --build-arg "PYTHON_IMAGE=${BASE:-docker.io/library/python:3.11-slim-bookworm}" \
        --build-arg "GIT_COMMIT=$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
        "${borrowed[@]}" --target "$target" --tag "tidegate-$target" .
done

for target in ${TARGETS:-live pipelines}; do
    container=$(buildah "${storage[@]}" from --pull-never "tidegate-$target")
    trap 'buildah "${storage[@]}" rm "$container" >/dev/null' EXIT
    inside() { buildah "${storage[@]}" run --isolation chroot --user 10001:10001 "$container" -- "$@"; }
    echo "== tidegate-$target as user $(inside id -u), $(inside python --version)"
    inside python -m live --help | head -1
    inside python -m live.health risk || true  # nothing runs in there, and it says so
    if [ "$target" = live ]; then
        inside python -c 'import importlib.util as u; found = [n for n in ("mlflow", "dagster", "lightgbm", "evidently", "sklearn") if u.find_spec(n)]; raise SystemExit(f"the live image holds {found}" if found else 0)'
        echo "   no training stack in it"
    else
        inside python -m tidegate --help | grep -m1 Usage
        inside python -c 'import dagster, dagster_postgres, lightgbm, mlflow; print("   dagster", dagster.__version__, "mlflow", mlflow.__version__, "lightgbm", lightgbm.__version__)'
    fi
    buildah "${storage[@]}" rm "$container" >/dev/null
    trap - EXIT
done
buildah "${storage[@]}" images --format '{{.Name}} {{.Size}}' | grep tidegate-
