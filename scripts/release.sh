#!/usr/bin/env bash
# Release a model version: validate, bring it into the shadow slot and, with evidence enough, make it the canary.
#
#   bash scripts/release.sh --shadow-id ID [--disable-rollout] [--skip-validations]
#
# Exit status: 0 done, 1 refused (the last line says why), 2 usage.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    sed -n '2,6s/^# \{0,1\}//p' "scripts/release.sh"
}

python=${PYTHON:-python}
[[ -z ${PYTHON:-} && -x .venv/bin/python ]] && python=.venv/bin/python
export PYTHONPATH=.
id="" validations=yes rollout=()

while (($#)); do
    case $1 in
        --shadow-id) (($# > 1)) || { echo "--shadow-id needs an ID" >&2; exit 2; }; id=$2; shift 2 ;;
        --shadow-id=*) id=${1#*=}; shift ;;
        --disable-rollout) rollout=(--disable-rollout); shift ;;
        --skip-validations) validations=no; shift ;;
        -h | --help) usage; exit 0 ;;
        *) echo "unknown argument $1" >&2; usage >&2; exit 2 ;;
    esac
done
[[ -n $id ]] || { echo "--shadow-id ID is needed" >&2; usage >&2; exit 2; }

validate() {
    echo "validate: $*"
    "$python" "$@" || { echo "refused: $1 failed; mend it, or pass --skip-validations" >&2; exit 1; }
}

if [[ $validations == yes ]]; then
    validate scripts/validate_config.py
    validate scripts/validate_symbols.py --symbols data/reference/symbols.yml
    validate scripts/scan_parquet_gaps.py --root "$("$python" -c 'from config.settings import load; print(load().paths.lake)')"
    validate scripts/canary_pipeline.py --id "$id"
fi
exec "$python" -m tidegate release --shadow-id "$id" "${rollout[@]}"
