"""Stands in for `neuralizer train`: checkpoints of steps until SIGTERM; a batch above 4 does not fit in memory."""

import json
import re
import shutil
import signal
import sys
import time
from pathlib import Path

config = sys.argv[sys.argv.index("--config") + 1]
run = Path(sys.argv[sys.argv.index("--workdir") + 1])
batch, last = (int(re.search(rf"{name}=(\d+)", config)[1]) for name in ("batch", "steps"))
checkpoints = run / "checkpoints"
checkpoints.mkdir(parents=True, exist_ok=True)
run.joinpath("config.json").write_text(
    json.dumps({"arguments": sys.argv[1:], "train": {"init_from": config.partition("init_from=")[2].partition(",")[0]},
                "data": {"datasets": ["data/maps-volumes"]}})
)  # fmt: skip
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
step = max((int(path.name) for path in checkpoints.iterdir()), default=0)
while not stopped and step < last:
    time.sleep(0.05)
    step += 1
    (checkpoints / str(step)).mkdir()
    (checkpoints / str(step) / "meta").write_text(f"step {step}")
    shutil.rmtree(checkpoints / str(step - 2), ignore_errors=True)
    if batch > 4 and step == 3:
        sys.exit("out of memory")
print("ended")
