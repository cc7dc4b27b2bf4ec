#!/usr/bin/env python3
"""Has Kiln write every Keras model below a folder of cases anew, and Keras itself predict with the result.

usage: prove_writers.py CASES --kconv FILE [--to keras|h5-3|h5-2] [--filter TEXT] [--show N] [--tolerance X]

By hand, in an environment with TensorFlow 2.21, keras 3.15.1 and tf_keras 2.21 (scripts/fixtures/README.md). `--to keras` runs
`kconv upgrade` and loads the file with Keras 3, `h5-3` and `h5-2` run `kconv export` and load it with Keras 3 or tf_keras. A
result counts as passed within 1e-6 of the largest expected value (and 1), or within what the case allows for its own framework;
as near within 1e-4; as wrong beyond. Exit 1 when anything is wrong or was written but cannot be loaded.
"""
import argparse, collections, json, os, subprocess, sys, tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
import numpy as np


def sources(case, folder):
    """The arguments of each model file of a case."""
    files = case.get("files", [])
    architectures = [f for f in files if f.endswith((".json", ".yaml")) and not f.endswith(".weights.json")]
    for name in files:
        path = os.path.join(folder, name)
        if name.endswith(".keras"):
            yield name, [path]
        elif name.endswith((".h5", ".hdf5", ".weights.json")):
            if "weights" in os.path.basename(name):
                for a in architectures:
                    yield f"{name}+{a}", [path, "--architecture", os.path.join(folder, a)]
            else:
                yield name, [path]


def load(a, path):
    if a.to == "h5-2":
        import tf_keras
        return tf_keras.models.load_model(path, compile=a.compile)
    import keras
    return keras.models.load_model(path, compile=a.compile)


def inputs(case, folder, model):
    arrays = {}
    for i in case["inputs"]:
        arrays[i["name"]] = np.load(os.path.join(folder, i["file"]), allow_pickle=False)
    for i in case.get("string_inputs", []):
        texts = [open(os.path.join(folder, f), "rb").read() for f in i["files"]]
        arrays[i["name"]] = np.array(texts, dtype=object).reshape(i["shape"])
    names = [t.name.split(":")[0] for t in model.inputs]
    if isinstance(getattr(model, "_inputs_struct", None), dict):
        names = sorted(model._inputs_struct)
        return {n: arrays.get(n, list(arrays.values())[k]) for k, n in enumerate(names)}
    values = list(arrays.values())
    if all(n in arrays for n in names):
        values = [arrays[n] for n in names]
    import tensorflow as tf
    if any(v.dtype.kind in "OUSV" for v in values):
        values = [tf.constant(np.char.encode(v, "utf-8") if v.dtype.kind == "U" else [bytes(b) for b in v.ravel()] if v.dtype.kind == "V" else v) for v in values]
    return values[0] if len(values) == 1 else values


def predict(a, model, x):
    import tensorflow as tf
    if a.stateful:
        y = model.predict(x, batch_size=a.stateful, verbose=0)
    else:
        y = model(x, training=False) if not isinstance(x, list) or len(x) == len(model.inputs) else model.predict(x, verbose=0)
    return [np.asarray(v) for v in tf.nest.flatten(y)]


def difference(got, case, folder, file):
    wanted = [o for o in case["outputs"] if o.get("model_file", file) == file]
    worst = 0.0
    if len(got) != len(wanted):
        return f"{len(got)} outputs for {len(wanted)}"
    for value, o in zip(got, wanted):
        e = np.load(os.path.join(folder, o["file"]), allow_pickle=False)
        if e.dtype.kind in "SUO":
            text = [v.decode() if isinstance(v, bytes) else str(v) for v in value.ravel()]
            if text != [str(v) for v in e.astype(str).ravel()]:
                return "other texts"
            continue
        if value.size != e.size:
            return f"shape {value.shape} for {e.shape}"
        g, e = value.reshape(e.shape).astype(np.float64), e.astype(np.float64)
        if (np.isnan(g) != np.isnan(e)).any():
            return "NaN elsewhere"
        fin = np.isfinite(e)
        if not np.array_equal(g[~fin & ~np.isnan(e)], e[~fin & ~np.isnan(e)]):
            return "infinity elsewhere"
        if fin.any():
            worst = max(worst, np.abs(g[fin] - e[fin]).max() / max(1.0, np.abs(e[fin]).max()))
    return worst


def main():
    p = argparse.ArgumentParser()
    p.add_argument("cases")
    p.add_argument("--kconv", required=True)
    p.add_argument("--to", choices=["keras", "h5-3", "h5-2"], default="keras")
    p.add_argument("--filter", default="")
    p.add_argument("--skip", default="")
    p.add_argument("--show", type=int, default=200)
    p.add_argument("--no-check", action="store_true")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--part", default="0/1", help="I/N: every N-th case from the I-th")
    a = p.parse_args()
    a.stateful = 0
    part, parts = map(int, a.part.split("/"))
    counts, refused, rows = collections.Counter(), collections.Counter(), []
    work = []
    for root, dirs, files in os.walk(a.cases):
        dirs.sort()
        if "case.json" in files and a.filter in root and not (a.skip and a.skip in root):
            work.append(root)
    import tensorflow as tf
    for number, root in enumerate(sorted(work)):
        if number % parts != part:
            continue
        case = json.load(open(os.path.join(root, "case.json")))
        if case.get("expect", "match") != "match":
            continue
        for file, arguments in sources(case, root):
            where = os.path.relpath(root, a.cases) + "/" + file
            with tempfile.TemporaryDirectory() as t:
                out = os.path.join(t, "new.keras" if a.to == "keras" else "new.h5")
                command = [a.kconv, "upgrade", *arguments, out] if a.to == "keras" else [
                    a.kconv, "export", *arguments, "-o", out, "--keras", a.to[-1]]
                r = subprocess.run(command + (["--no-check"] if a.no_check else []), capture_output=True, text=True)
                if r.returncode != 0:
                    lines = [l for l in r.stderr.splitlines() if "error" in l] or [f"exit {r.returncode}"]
                    counts["refused" if r.returncode in (1, 3) else "failed"] += 1
                    refused[lines[0].split(": ", 3)[-1][:110]] += 1
                    rows.append(("REFUSED" if r.returncode in (1, 3) else "FAILED", where, lines[0][:300]))
                    continue
                try:
                    model = load(a, out)
                    x = inputs(case, root, model)
                    # A fixed batch: the samples go through one batch after the other.
                    a.stateful = next((t.shape[0] for t in model.inputs if isinstance(t.shape[0], int)), 0)
                    worst = difference(predict(a, model, x), case, root, file.split("+")[0])
                except Exception as error:
                    if "CPU implementations do not yet support" in str(error):
                        counts["not on a CPU"] += 1
                        continue
                    counts["not loaded"] += 1
                    rows.append(("NOLOAD", where, f"{type(error).__name__}: {str(error)[:400]}".replace("\n", " ")))
                    continue
                finally:
                    if a.to == "h5-2":
                        import tf_keras
                        tf_keras.backend.clear_session()
                    else:
                        import keras
                        keras.backend.clear_session()
                tolerance = max(float(case.get("tol", 0)), 1e-6)
                if isinstance(worst, str):
                    counts["wrong"] += 1
                    rows.append(("WRONG", where, worst))
                elif worst <= 1e-6:
                    counts["passed"] += 1
                elif worst <= max(1e-4, tolerance):
                    counts["near"] += 1
                    rows.append(("near", where, f"{worst:.1e}"))
                else:
                    counts["wrong"] += 1
                    rows.append(("WRONG", where, f"{worst:.2e}"))
    for row in sorted(rows)[: a.show]:
        print(*row, flush=True)
    print("refused by reason:")
    for reason, n in refused.most_common(60):
        print(f"{n:5} {reason}")
    print(dict(counts))
    sys.exit(1 if counts["wrong"] + counts["not loaded"] + counts["failed"] else 0)


main()
