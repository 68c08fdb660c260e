"""Expected values of tests/stats/test_multiclass.c, by scikit-learn 1.9.1:

    python3 -m venv venv && venv/bin/pip install scikit-learn==1.9.1
    venv/bin/python tests/reference/multiclass.py

The events come from integer arithmetic, so that the test in C makes the same ones.
"""
import numpy as np
from sklearn import metrics as M

N, K = 200, 4
NAMES = ["ant", "bee", "cat", "dog"]


def events():
    x = 12345
    rows = []
    for _ in range(N):
        draws = []
        for _ in range(K + 2):
            x = (x * 1103515245 + 12345) % 2**31
            draws.append(x // 65536 % 1000)
        label = draws[K] % K
        scores = [d + 1 + (300 if i == label else 0) for i, d in enumerate(draws[:K])]
        total = sum(scores)
        scores = [s / total for s in scores]
        predicted = int(np.argmax(scores)) if draws[K + 1] % 5 else draws[K + 1] // 5 % K
        rows.append((scores, label, predicted))
    return rows


rows = events()
S = np.array([r[0] for r in rows])
y = np.array([r[1] for r in rows])
p = np.array([r[2] for r in rows])
S = S / S.sum(1, keepdims=True)
out = {
    "accuracy": M.accuracy_score(y, p),
    "balanced_accuracy": M.balanced_accuracy_score(y, p),
    "mcc": M.matthews_corrcoef(y, p),
    "cohen_kappa": M.cohen_kappa_score(y, p),
    "log_loss": M.log_loss(y, S),
    "brier": M.brier_score_loss(y, S, labels=list(range(K))),
    "top_3_accuracy": M.top_k_accuracy_score(y, S, k=3),
    "roc_auc_ovr_macro": M.roc_auc_score(y, S, multi_class="ovr", average="macro"),
    "roc_auc_ovr_weighted": M.roc_auc_score(y, S, multi_class="ovr", average="weighted"),
}
for name, f in (("precision", M.precision_score), ("recall", M.recall_score), ("f1", M.f1_score)):
    for average in ("macro", "micro", "weighted"):
        out[f"{name}_{average}"] = f(y, p, average=average)
    for i, value in enumerate(f(y, p, average=None)):
        out[f'{name}{{class=\\"{NAMES[i]}\\"}}'] = value
top, right = S.max(1), y == p
bins = np.minimum((top * 10).astype(int), 9)
out["ece"] = sum(
    (bins == b).sum() / N * abs(top[bins == b].mean() - right[bins == b].mean()) for b in range(10) if (bins == b).any()
)
out["confidence_mean"] = top.mean()
for name, value in out.items():
    print(f'    {{"{name}", {float(value)!r}}},')
