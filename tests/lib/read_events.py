"""What TensorBoard finds in a logdir, as JSON: {run: {tag: [[step, wall_time, value], …]}}.

Run by the interpreter of .cache/venv, which has the package tensorboard: read_events.py LOGDIR
"""

import json
import os
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

found = {}
for directory, _, files in sorted(os.walk(sys.argv[1])):
    if not any("tfevents" in name for name in files):
        continue
    events = EventAccumulator(directory, size_guidance={"tensors": 0})
    events.Reload()
    found[os.path.relpath(directory, sys.argv[1])] = {
        tag: [[e.step, e.wall_time, tensor_util.make_ndarray(e.tensor_proto).tolist()] for e in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }
json.dump(found, sys.stdout)
