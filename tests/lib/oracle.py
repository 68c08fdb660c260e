"""What every window should show, recomputed naively from the list of events.

    oracle = Oracle({"credit": Model(task="binary")})
    for event in events:
        oracle.add(json.loads(event.value))
    window = oracle.windows(60_000)[("credit", "v3", "", 1700000400000)]
    window.metrics()["roc_auc"]

The rules are those of the contract: of predictions the first wins, of labels the last to arrive, a
label counts when its ts is at most the horizon after the prediction's, windows are by the
prediction's ts. Sums are exact (math.fsum); the AUC counts pairs by ranks, ties as half.
"""

import math
from collections import Counter, defaultdict, namedtuple

Model = namedtuple("Model", "task positive threshold horizon_ms segments")
Model.__new__.__defaults__ = ("binary", "1", 0.5, 7 * 86_400_000, ())

EPSILON = 2.0**-52  # scikit-learn clips probabilities to [eps, 1 - eps] in log_loss
NONE = "__none__"


def class_text(value):
    """Classes compare as text: 1, 1.0 and "1" are equal, true is "true"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


class Oracle:
    def __init__(self, models):
        self.models = models
        self.predictions = {}  # id -> event
        self.labels = defaultdict(list)  # id -> label events in arrival order
        self.outcomes = defaultdict(dict)  # id -> name -> event
        self.duplicates = 0

    def add(self, event):
        if event["type"] == "prediction":
            if event["id"] in self.predictions:
                self.duplicates += 1
            else:
                self.predictions[event["id"]] = event
        elif event["type"] == "label":
            self.labels[event["id"]].append(event)
        elif event["type"] == "outcome":
            self.outcomes[event["id"]][event["name"]] = event

    def label_of(self, id):
        """The label that counts for this prediction, or None."""
        prediction = self.predictions[id]
        horizon = self.models[prediction["model"]].horizon_ms
        in_time = [e for e in self.labels.get(id, ()) if e["ts"] - prediction["ts"] <= horizon]
        return in_time[-1]["label"] if in_time else None

    def slices_of(self, prediction):
        """"" for all, and "key=value" for each segment of the model."""
        slices = [""]
        for key in self.models[prediction["model"]].segments:
            value = prediction.get("segment", {}).get(key, prediction.get("features", {}).get(key, NONE))
            slices.append(f"{key}={class_text(value)}")
        return slices

    def windows(self, window_ms):
        """{(model, version, slice, start): Window} of all windows with a prediction."""
        windows = {}
        for id, prediction in self.predictions.items():
            start = prediction["ts"] // window_ms * window_ms
            for name in self.slices_of(prediction):
                key = (prediction["model"], prediction["version"], name, start)
                if key not in windows:
                    windows[key] = Window(self.models[prediction["model"]])
                windows[key].add(prediction, self.label_of(id), self.outcomes.get(id, {}))
        return windows


class Window:
    def __init__(self, model):
        self.model = model
        self.rows = []  # (prediction, label or None, outcomes)

    def add(self, prediction, label, outcomes):
        self.rows.append((prediction, label, outcomes))

    def metrics(self):
        """Every metric that is defined here, by the contract's names; undefined ones are left out."""
        served = [p for p, _, _ in self.rows if p.get("error") is None]
        labelled = [(p, l) for p, l, _ in self.rows if l is not None and p.get("error") is None]
        latencies = [p["latency_ms"] for p, _, _ in self.rows if p.get("latency_ms") is not None]
        found = {
            "count": len(self.rows),
            "labelled": len(labelled),
            "error_rate": 1 - len(served) / len(self.rows),
            "latency_mean": _mean(latencies),
        }
        clicks = sum(1 for _, _, o in self.rows if "click" in o)
        found['outcome_rate{name="click"}'] = clicks / len(self.rows)
        found.update({"binary": self._binary, "multiclass": self._multiclass, "regression": self._regression}[
            self.model.task
        ](served, labelled))
        return {name: value for name, value in found.items() if value is not None}

    def _predicted_positive(self, prediction):
        if "prediction" in prediction:
            return class_text(prediction["prediction"]) == self.model.positive
        return prediction["score"] >= self.model.threshold

    def _binary(self, served, labelled):
        pairs = [(self._predicted_positive(p), class_text(l) == self.model.positive) for p, l in labelled]
        scored = [(p["score"], class_text(l) == self.model.positive) for p, l in labelled if "score" in p]
        count = Counter(pairs)
        tp, fp, tn, fn = count[True, True], count[True, False], count[False, False], count[False, True]
        precision, recall = _share(tp, tp + fp), _share(tp, tp + fn)
        return {
            "tp": tp,
            "fp": fp,
            "tn": tn,
            "fn": fn,
            "accuracy": _share(tp + tn, len(pairs)),
            "precision": precision,
            "recall": recall,
            "specificity": _share(tn, tn + fp),
            "f1": _share(2 * tp, 2 * tp + fp + fn),
            "positive_rate": _mean([float(self._predicted_positive(p)) for p in served]),
            "prediction_mean": _mean([p["score"] for p in served if "score" in p]),
            "roc_auc": roc_auc(scored),
            "log_loss": _mean([-math.log(_clip(s if y else 1 - s)) for s, y in scored]),
            "brier": _mean([(s - y) ** 2 for s, y in scored]),
        }

    def _multiclass(self, served, labelled):
        pairs = [(class_text(p["prediction"]), class_text(l)) for p, l in labelled]
        classes = sorted({c for pair in pairs for c in pair})
        true = Counter(y for _, y in pairs)
        predicted = Counter(p for p, _ in pairs)
        hit = Counter(y for p, y in pairs if p == y)
        recalls = [hit[c] / true[c] for c in classes if true[c]]
        found = {
            "accuracy": _share(sum(hit.values()), len(pairs)),
            "balanced_accuracy": _mean(recalls),
        }
        if pairs:
            each = {
                "precision": {c: hit[c] / predicted[c] if predicted[c] else 0.0 for c in classes},
                "recall": {c: hit[c] / true[c] if true[c] else 0.0 for c in classes},
                "f1": {c: 2 * hit[c] / (true[c] + predicted[c]) for c in classes},
            }
            for name, values in each.items():
                found[f"{name}_macro"] = _mean(list(values.values()))
                found[f"{name}_weighted"] = math.fsum(values[c] * true[c] for c in classes) / len(pairs)
                found[f"{name}_micro"] = found["accuracy"]
        losses = []
        for p, l in labelled:
            total = math.fsum(p["scores"].values())
            losses.append(-math.log(_clip(p["scores"].get(class_text(l), 0.0) / total)))
        found["log_loss"] = _mean(losses)
        return found

    def _regression(self, served, labelled):
        errors = [p["prediction"] - l for p, l in labelled]
        truth = [l for _, l in labelled]
        found = {"prediction_mean": _mean([p["prediction"] for p in served])}
        if errors:
            found["mae"] = _mean([abs(e) for e in errors])
            found["mse"] = _mean([e * e for e in errors])
            found["rmse"] = math.sqrt(found["mse"])
            found["bias"] = _mean(errors)
            found["max_error"] = max(abs(e) for e in errors)
            found["mape"] = _mean([abs(e) / max(abs(l), EPSILON) for e, l in zip(errors, truth)])
            spread = math.fsum((l - _mean(truth)) ** 2 for l in truth)
            found["r2"] = 1 - math.fsum(e * e for e in errors) / spread if len(errors) > 1 and spread else None
        return found


def roc_auc(scored):
    """Share of (positive, negative) pairs in the right order, ties as half; None without both."""
    positives = sum(y for _, y in scored)
    negatives = len(scored) - positives
    if not positives or not negatives:
        return None
    right = 0  # in halves of a pair
    below = 0
    by_score = defaultdict(lambda: [0, 0])
    for score, y in scored:
        by_score[score][y] += 1
    for score in sorted(by_score):
        n_negative, n_positive = by_score[score]
        right += n_positive * (2 * below + n_negative)
        below += n_negative
    return right / (2 * positives * negatives)


def _mean(values):
    return math.fsum(values) / len(values) if values else None


def _share(part, whole):
    return part / whole if whole else None


def _clip(p):
    return min(max(p, EPSILON), 1 - EPSILON)
