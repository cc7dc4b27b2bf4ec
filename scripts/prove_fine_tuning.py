#!/usr/bin/env python3
"""Fine-tunes the committed digits CNN on changed digits with Kiln and with Keras, the same epochs, and compares their accuracy.

usage: prove_fine_tuning.py --kinfer FILE [--seeds N] [--epochs N] [--change NAME]

By hand, in an environment with keras 3.15.1, TensorFlow 2.21 and scikit-learn. Inverted and rotated digits; both shuffle and drop out
by themselves, so that the means over seeds are compared. Exit 1 when they differ by more than 0.5 %.
"""
import argparse, json, os, subprocess, sys, tempfile

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="", TF_ENABLE_ONEDNN_OPTS="0", KERAS_BACKEND="tensorflow")
import numpy as np, keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "..", "fixtures", "demo", "digits.h5")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--kinfer", required=True)
    p.add_argument("--seeds", type=int, default=5)
    p.add_argument("--change", default="", help="inverted, rotated or both; all without it")
    p.add_argument("--epochs", type=int, default=25)
    a = p.parse_args()
    d = load_digits()
    grey = np.round(d.images * (255.0 / 16.0)).astype("float32")[..., None]
    x, xt, y, yt = train_test_split(grey, d.target.astype("int32"), test_size=0.4, random_state=20, stratify=d.target)
    bad = 0
    for name, change in [("inverted", lambda v: 255 - v), ("rotated", lambda v: np.rot90(v, axes=(1, 2)).copy()), ("both", lambda v: 255 - np.rot90(v, axes=(1, 2)))]:
        if a.change not in ("", name):
            continue
        own, test = np.ascontiguousarray(change(x)), np.ascontiguousarray(change(xt))
        before = np.mean(keras.models.load_model(MODEL, compile=False).predict(test, verbose=0).argmax(1) == yt)
        with tempfile.TemporaryDirectory() as folder:
            np.savez(f"{folder}/train.npz", x=own, y=y)
            np.savez(f"{folder}/test.npz", x=test, y=yt)
            found = {"kiln": [], "keras": []}
            for seed in range(a.seeds):
                out = subprocess.run(
                    [a.kinfer, "train", MODEL, "--data", f"{folder}/train.npz", "--validation", f"{folder}/test.npz", "--epochs", str(a.epochs), "--optimizer", "adam",
                     "--learning-rate", "0.001", "--seed", str(seed), "--format", "json", "--out", f"{folder}/tuned.kiln", "--force"], capture_output=True, text=True)
                if out.returncode:
                    sys.exit(out.stderr)
                found["kiln"].append(json.loads(out.stdout.splitlines()[-1])["metrics"]["val_accuracy"])
                keras.utils.set_random_seed(seed)
                m = keras.models.load_model(MODEL, compile=False)
                m.compile(keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy", metrics=["accuracy"])
                found["keras"].append(m.fit(own, y, batch_size=32, epochs=a.epochs, validation_data=(test, yt), verbose=0).history["val_accuracy"][-1])
        mean = {k: 100 * np.mean(v) for k, v in found.items()}
        off = abs(mean["kiln"] - mean["keras"]) > 0.5
        bad += off
        print(f"{name}: before {100 * before:.2f} %, Kiln {mean['kiln']:.2f} %, Keras {mean['keras']:.2f} % "
              f"(by seed {[round(100 * v, 2) for v in found['kiln']]}, {[round(100 * v, 2) for v in found['keras']]}){' DIFFERS' if off else ''}", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
