#!/usr/bin/env bash
# What needs a GPU, in at most ten minutes: the CUDA tests, speed on CUDA beside the reference
# implementation, and training runs of the INN with further seeds, several at once, each step a CUDA
# graph. A run that does not end in time leaves its checkpoint, from which the same command goes on.
#
#   OUT=folder bash benchmarks/gpu.sh        # results: logs, bench.csv, weights/
#   IKPAPER_WEIGHTS=folder/weights ikpaper evaluate --model inn --dof 6 --profile paper --seed 43 \
#     --save                                 # scores of a run that ended, for seeds.csv
#   DEVICE=cpu PROFILE=smoke bash benchmarks/gpu.sh    # a trial without a GPU
set -uo pipefail
cd "$(dirname "$0")/.."
OUT=${OUT:-.cache/gpu}
PYTHON=${PYTHON:-python3}
DEVICE=${DEVICE:-cuda}
PROFILE=${PROFILE:-paper}
# Model, DoF and seed of the training runs.
RUNS=${RUNS:-"inn:6:43 inn:6:44 inn:10:43 inn:10:44"}
STEPS=${STEPS:-"tests bench train"}
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1 OMP_NUM_THREADS=2
mkdir -p "$OUT"

"$PYTHON" -c "import torch; print('torch', torch.__version__, 'CUDA', torch.version.cuda)
if torch.cuda.is_available(): print(torch.cuda.get_device_name())" | tee "$OUT/device.txt"

if [[ $STEPS == *tests* ]]; then
  # Another version of torch may warn of what ours does not.
  timeout 100 "$PYTHON" -m pytest -q -W default -p no:cacheprovider tests/training/test_cuda_graph.py \
    >"$OUT/tests.log" 2>&1
  tail -n 15 "$OUT/tests.log"
fi

if [[ $STEPS == *bench* ]]; then
  for what in "training inn" "training cvae" sampling mmd; do
    timeout "${BENCH_S:-45}" "$PYTHON" -m benchmarks --device "$DEVICE" --rounds 2 --only "$what" \
      --output "$OUT" >>"$OUT/bench.log" 2>&1 || echo "benchmark '$what' ended early: see bench.log"
  done
  [ -f "$OUT/bench.csv" ] && cut -d, -f1-5,7-10 "$OUT/bench.csv"
fi

if [[ $STEPS == *train* ]]; then
  for run in $RUNS; do
    IFS=: read -r model dof seed <<<"$run"
    IKPAPER_WEIGHTS=$OUT/weights timeout "${TRAINING_S:-250}" "$PYTHON" -m ikpaper train \
      --model "$model" --dof "$dof" --seed "$seed" --profile "$PROFILE" --device "$DEVICE" \
      --retries 3 >"$OUT/train-$model-$dof-$seed.log" 2>&1 &
  done
  wait
  tail -n 2 "$OUT"/train-*.log
  ls -l "$OUT/weights/$PROFILE"
fi
