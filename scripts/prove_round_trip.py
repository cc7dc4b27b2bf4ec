#!/usr/bin/env python3
"""Kiln trains two epochs, Keras goes on from the file for two, Kiln from Keras's for two: the losses of six epochs of Keras alone?

usage: prove_round_trip.py --kinfer FILE [--form keras|h5-2|h5-3] [--optimizers adam,nadam,…]

By hand, in an environment with TensorFlow 2.21, keras 3.15.1 and tf_keras 2.21 (scripts/fixtures/README.md). `keras` goes through
`.keras` files of Keras 3, `h5-2` through `.h5` files of tf_keras. `h5-3` shows what Keras 3 does with the optimizer of its own `.h5`
files: it loads none. Exit 1 when a loss is off by more than 1e-4.
"""
import argparse, json, os, subprocess, sys, tempfile

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="", TF_ENABLE_ONEDNN_OPTS="0", KERAS_BACKEND="tensorflow")
import numpy as np

OPTIMIZERS = {
    "sgd": ("SGD", {}), "momentum": ("SGD", dict(momentum=0.9)), "nesterov": ("SGD", dict(momentum=0.9, nesterov=True)), "adam": ("Adam", {}),
    "amsgrad": ("Adam", dict(amsgrad=True)), "adamw": ("AdamW", {}), "rmsprop": ("RMSprop", {}),
    "centered": ("RMSprop", dict(momentum=0.5, centered=True)), "adagrad": ("Adagrad", {}), "adadelta": ("Adadelta", {}),
    "adamax": ("Adamax", {}), "nadam": ("Nadam", {}), "ftrl": ("Ftrl", {}), "lion": ("Lion", {}), "lamb": ("Lamb", {}), "adafactor": ("Adafactor", {}),
    "ema": ("SGD", dict(momentum=0.9, use_ema=True, ema_overwrite_frequency=4)), "accumulation": ("Adam", dict(gradient_accumulation_steps=2)),
}
# Small for those that magnify rounding: by signs, by differences of nearly equal numbers.
RATES = {"lion": 0.0003, "centered": 0.001, "adadelta": 1.0}


def model(keras, optimizer):
    keras.utils.set_random_seed(1)
    L = keras.layers
    m = keras.Sequential([
        L.Input((8, 8, 1), name="x"), L.Conv2D(6, 3, padding="same", use_bias=False), L.BatchNormalization(momentum=0.9), L.ReLU(), L.MaxPooling2D(),
        L.Conv2D(6, 3, kernel_regularizer="l2"), L.Flatten(), L.Dense(6, "tanh"), L.Dense(6), L.Dense(5, "softmax")])
    m.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return m


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--kinfer", required=True)
    p.add_argument("--form", default="keras", choices=["keras", "h5-2", "h5-3"])
    p.add_argument("--optimizers", default=",".join(OPTIMIZERS))
    a = p.parse_args()
    if a.form == "h5-2":
        import tf_keras as keras
    else:
        import keras
    r = np.random.default_rng(3)
    x, y = r.normal(size=(64, 8, 8, 1)).astype("float32"), r.integers(0, 5, 64).astype("int32")
    end = ".keras" if a.form == "keras" else ".h5"
    bad = 0
    for key in a.optimizers.split(","):
        name, options = OPTIMIZERS[key]
        if not hasattr(keras.optimizers, name) or a.form == "h5-2" and "gradient_accumulation_steps" in options:
            continue
        # Some with a schedule, which has no variable.
        rates = [RATES.get(key, 0.01)] + ([keras.optimizers.schedules.ExponentialDecay(0.02, 8, 0.7)] if key in ("momentum", "adam") else [])
        for rate in rates:
            text = key + ("" if isinstance(rate, float) else " with a schedule")
            make = lambda: getattr(keras.optimizers, name)(learning_rate=rate, **options)
            fit = lambda m, n: [float(v) for v in m.fit(x, y, batch_size=8, epochs=n, shuffle=False, verbose=0).history["loss"]]
            with tempfile.TemporaryDirectory() as folder:
                np.savez(f"{folder}/data.npz", x=x, y=y)
                model(keras, make()).save(f"{folder}/0{end}")
                whole = fit(model(keras, make()), 6)

                def kiln(source, target):
                    out = subprocess.run(
                        [a.kinfer, "train", source, "--data", f"{folder}/data.npz", "--no-shuffle", "--batch-size", "8", "--epochs", "2", "--threads", "1",
                         "--format", "json", "--out", target], capture_output=True, text=True)
                    if out.returncode:
                        raise RuntimeError(out.stderr.strip()[-300:])
                    if "note" in out.stderr:
                        print("  " + [line for line in out.stderr.splitlines() if "note" in line][0][:200])
                    return [json.loads(line)["metrics"]["loss"] for line in out.stdout.splitlines() if line.startswith("{")]

                try:
                    losses = kiln(f"{folder}/0{end}", f"{folder}/1{end}")
                    again = keras.models.load_model(f"{folder}/1{end}")
                    iterations = int(again.optimizer.iterations)
                    losses += fit(again, 2)
                    again.save(f"{folder}/2{end}")
                    losses += kiln(f"{folder}/2{end}", f"{folder}/3{end}")
                    worst = max(abs(b - w) / abs(w) for b, w in zip(losses, whole))
                    off = worst > 1e-4
                    print(f"{'DIFFERS' if off else 'ok':8}{text:28} largest difference {worst:.1e}; Keras begins at step {iterations}; {losses[0]:.5f} … {losses[-1]:.5f}"
                          + (f" for {whole}" if off else ""), flush=True)
                    bad += off
                except Exception as e:
                    print(f"FAILED  {text:28} {type(e).__name__}: {str(e).strip().splitlines()[0][:200]}", flush=True)
                    bad += 1
                if a.form == "h5-3":
                    own = model(keras, make())
                    fit(own, 2)
                    own.save(f"{folder}/own.h5")
                    try:
                        fit(keras.models.load_model(f"{folder}/own.h5"), 1)
                        print("  Keras goes on from its own file")
                    except Exception as e:
                        print(f"  Keras with its own file: {type(e).__name__}: {str(e).strip().splitlines()[0][:160]}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
