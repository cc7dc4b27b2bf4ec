#!/usr/bin/env python3
"""Are the models right and fast on a real GPU? One script for a machine that is at hand for minutes, without network and without Keras.

    scripts/prove_gpu.py pack --bin BIN --models DIR -o bundle.tar.xz [--only resnet50,…]      here
    scripts/prove_gpu.py run bundle.tar.xz [--out DIR] [--minutes 8] [--every 25]              there

`pack` takes kconv and kinfer from BIN with the shared libraries that they load (libc and the driver's stay behind), and every DIR/NAME/model.h5
without its weights: a few KB each. It needs h5py. `run` unpacks them, fills the weights with seeded random numbers (h5py, numpy), and prints

 1. what `kinfer doctor` says of the devices;
 2. the cases of fixtures/, one of `--every`, on the device against the processor (scripts/run-on-device, where numpy is);
 3. one line a model: nodes that do not run on the device, the difference from the processor's outputs, milliseconds of one sample on the
    processor, on the device with the kernels' default variants, with the timed ones, with half precision, and PyTorch's on the same device (float32,
    and with TF32) for the equal architecture where torch is installed.

Both sides of the comparison take the input from the host's memory and give the output back there. With --out, the profile of each model lies
there as text. Exit 1 when a result differs by more than 1e-4 of the largest number. Sections stop when --minutes are over; what was left out is said.
"""
import argparse, io, json, os, re, shutil, subprocess, sys, tarfile, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
SIDES = {"mobilenetv2": 224, "mobilenetv3small": 224, "resnet50": 224, "vgg16": 224, "inceptionv3": 299, "densenet121": 224, "efficientnetb0": 224, "convnexttiny": 224}
# Inside the device's driver or the C library: the other machine's own are taken.
SYSTEM = re.compile(r"^(ld-linux|libc\.|libm\.|libdl\.|libpthread\.|librt\.|libresolv|libOpenCL|libgcc_s|libstdc|linux-vdso)")


# ---- pack

def skeleton(source, target):
    """The HDF5 file with every large dataset empty: chunked, never written."""
    import h5py
    with h5py.File(source, "r") as a, h5py.File(target, "w") as b:
        def copy(x, y):
            for k, v in x.attrs.items():
                y.attrs[k] = v
            for name, item in x.items():
                if isinstance(item, h5py.Group):
                    copy(item, y.create_group(name))
                elif item.size > 1:
                    made = y.create_dataset(name, shape=item.shape, dtype=item.dtype, chunks=item.shape)
                    for k, v in item.attrs.items():
                        made.attrs[k] = v
                else:
                    x.copy(item, y, name)
        copy(a, b)


def libraries(binary):
    text = subprocess.run(["ldd", binary], capture_output=True, text=True).stdout
    for line in text.splitlines():
        m = re.match(r"\s*(\S+) => (/\S+)", line)
        if m and not SYSTEM.match(m.group(1)):
            yield m.group(1), m.group(2)


def pack(a):
    with tempfile.TemporaryDirectory() as folder, tarfile.open(a.output, "w:xz") as tar:
        found = {}
        for name in ("kconv", "kinfer"):
            path = os.path.join(folder, name)
            shutil.copy(os.path.realpath(os.path.join(a.bin, name)), path)
            found.update(dict(libraries(path)))
            subprocess.run(["strip", path], check=False)
            tar.add(path, "bin/" + name)
        for name, path in sorted(found.items()):
            tar.add(os.path.realpath(path), "lib/" + name)
        for name in sorted(os.listdir(a.models)):
            source = os.path.join(a.models, name, "model.h5")
            if not os.path.exists(source) or a.only and name not in a.only.split(","):
                continue
            path = os.path.join(folder, name + ".h5")
            skeleton(source, path)
            tar.add(path, "models/%s.h5" % name)
            print("%-18s %8.1f KB" % (name, os.path.getsize(path) / 1e3))
            os.remove(path)
    print("%s: %.1f MB" % (a.output, os.path.getsize(a.output) / 1e6))


# ---- run

def fill(path, seed):
    """Random weights: kernels by their fan-in, statistics of norms near those of normal data."""
    import h5py, numpy as np
    r = np.random.default_rng(seed)
    with h5py.File(path, "r+") as f:
        def visit(name, item):
            if not isinstance(item, h5py.Dataset) or item.size <= 1 or item.dtype.kind != "f":
                return
            last, shape = name.rsplit("/", 1)[-1], item.shape
            if "variance" in last:
                v = r.uniform(0.8, 1.2, shape)
            elif "gamma" in last:
                v = r.uniform(0.7, 1.3, shape)
            elif len(shape) == 1:
                v = r.normal(0, 0.05, shape)
            else:
                v = r.standard_normal(shape, dtype="float32") / np.sqrt(np.prod(shape[:-1]) if "embedding" not in last else 1)
            item[...] = v.astype(item.dtype)
        f.visititems(visit)


def make_input(name, np):
    r = np.random.default_rng(1)
    if name in SIDES:
        return (r.random((1, SIDES[name], SIDES[name], 3)) * (255 if name in ("mobilenetv3small", "efficientnetb0", "convnexttiny") else 1)).astype("float32")
    if name == "bert_small":
        return r.integers(0, 30522, (1, 128)).astype("int32")
    if name == "lstm_cls":
        return r.integers(0, 20000, (1, 200)).astype("int32")
    if name.startswith("bigru"):
        return r.random((1, int(name[5:]), 10)).astype("float32")
    if name == "splice_cnn":
        return np.eye(4, dtype="float32")[r.integers(0, 4, (1, 10000))]
    return r.random((1, 784) if name == "mlp" else (1, 28, 28, 1)).astype("float32")


def torch_model(name, T):
    """The equal architecture, random weights; None where there is none."""
    nn = T.nn
    pictures = {"mobilenetv2": "mobilenet_v2", "mobilenetv3small": "mobilenet_v3_small", "resnet50": "resnet50", "vgg16": "vgg16", "inceptionv3": "inception_v3",
                "densenet121": "densenet121", "efficientnetb0": "efficientnet_b0", "convnexttiny": "convnext_tiny"}
    if name in pictures:
        import types
        # torchvision's own operators, which no classifier uses, are not built for every torch.
        sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("torchvision._meta_registrations"))
        import torchvision
        more = dict(init_weights=False) if name == "inceptionv3" else {}
        return getattr(torchvision.models, pictures[name])(weights=None, **more), T.rand(1, 3, SIDES[name], SIDES[name])
    if name == "bert_small":
        class Bert(nn.Module):
            def __init__(s):
                super().__init__()
                s.e, s.n = nn.Embedding(30522, 384), nn.LayerNorm(384)
                s.t = nn.TransformerEncoder(nn.TransformerEncoderLayer(384, 12, 1536, activation="gelu", batch_first=True), 6)
                s.d = nn.Linear(384, 2)
            def forward(s, x): return s.d(s.t(s.n(s.e(x))).mean(1)).softmax(-1)
        return Bert(), T.randint(0, 30522, (1, 128))
    if name == "lstm_cls":
        class Lstm(nn.Module):
            def __init__(s):
                super().__init__()
                s.e, s.r, s.d = nn.Embedding(20000, 128), nn.LSTM(128, 128, batch_first=True), nn.Linear(128, 1)
            def forward(s, x): return s.d(s.r(s.e(x))[0][:, -1]).sigmoid()
        return Lstm(), T.randint(0, 20000, (1, 200))
    if name.startswith("bigru"):
        class Gru(nn.Module):
            def __init__(s):
                super().__init__()
                s.r, s.d = nn.GRU(10, 128, 2, batch_first=True, bidirectional=True), nn.Linear(256, 5)
            def forward(s, x): return s.d(s.r(x)[0]).softmax(-1)
        return Gru(), T.rand(1, int(name[5:]), 10)
    if name == "mlp":
        return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10), nn.Softmax(-1)), T.rand(1, 784)
    return None


def torch_ms(name, seconds):
    """Medians in milliseconds, host to host: (float32, TF32)."""
    import torch as T
    made = torch_model(name, T)
    if made is None:
        return None, None
    device = "cuda" if T.cuda.is_available() else "cpu"
    model, x = made[0].eval().to(device), made[1]
    out = []
    for tf32 in (False, True) if device == "cuda" else (False,):
        T.backends.cuda.matmul.allow_tf32 = T.backends.cudnn.allow_tf32 = tf32
        with T.inference_mode():
            times, end = [], time.monotonic() + seconds
            for _ in range(3):
                model(x.to(device)).cpu()
            while time.monotonic() < end or len(times) < 5:
                start = time.monotonic()
                model(x.to(device)).cpu()
                times.append(time.monotonic() - start)
        out.append(sorted(times)[len(times) // 2] * 1e3)
    return out[0], out[1] if len(out) > 1 else None


def run(a):
    import numpy as np
    end = time.monotonic() + 60 * a.minutes
    left = lambda: end - time.monotonic()
    folder = tempfile.mkdtemp()
    with tarfile.open(a.bundle) as tar:
        tar.extractall(folder, filter="data")
    bin = os.path.join(folder, "bin")
    env = dict(os.environ, XDG_CACHE_HOME=os.path.join(folder, "cache"),
               LD_LIBRARY_PATH=os.path.join(folder, "lib") + ":" + os.environ.get("LD_LIBRARY_PATH", ""))
    os.makedirs(env["XDG_CACHE_HOME"], exist_ok=True)

    def call(arguments, limit=120, **more):
        try:
            p = subprocess.run(arguments, capture_output=True, text=True, timeout=max(5, min(limit, left())), env=dict(env, **more), errors="replace")
            return p.returncode, p.stdout, p.stderr
        except subprocess.TimeoutExpired:
            return "timeout", "", "it took too long"

    kinfer, kconv = os.path.join(bin, "kinfer"), os.path.join(bin, "kconv")
    print("\n".join(line for line in call([kinfer, "doctor"])[1].splitlines() if re.match(r"kiln|instruction|gpu (device|none)|threads", line)))
    failed = 0
    runner = os.path.join(HERE, "run-on-device")
    if a.every > 0 and os.path.exists(runner):
        status, text, errors = call([sys.executable, runner, "--bin", bin, "--every", str(a.every)], limit=60 * a.minutes / 3)
        print("\nfixtures, one of %d, on the device (%s)" % (a.every, "exit %s" % status))
        print("\n".join((text + errors).strip().splitlines()[-14:]))
        failed += status not in (0, "timeout")
    else:
        print("\nfixtures: left out (%s)" % ("--every 0" if a.every <= 0 else "scripts/run-on-device is not there"))
    try:
        import torch
        print("\nPyTorch %s on %s" % (torch.__version__, torch.cuda.get_device_name(0) if torch.cuda.is_available() else "the processor"))
    except ImportError:
        torch = None
        print("\nPyTorch: not installed")

    def median(kiln, *arguments, **more):
        status, text, errors = call([kinfer, "bench", kiln, "--seconds", str(a.seconds), "--json", *arguments], **more)
        if status != 0:
            return None, (errors.strip().splitlines() or ["exit %s" % status])[-1]
        return json.loads(text[text.index("{"):])["median_ms"], ""

    show = lambda v, w=9: ("%*.3f" % (w, v)) if v is not None else " " * (w - 1) + "-"
    print("\n%-17s %7s %10s %9s %9s %9s %9s %9s %9s  %s" % ("model, ms", "on cpu", "difference", "cpu", "default", "timed", "fp16", "torch", "torch tf32", "timed / torch"))
    for name in sorted(os.listdir(os.path.join(folder, "models"))):
        name = name[:-3]
        if left() < 20:
            print("%-17s left out: the time is over" % name)
            continue
        h5, kiln, data = (os.path.join(folder, name + end) for end in (".h5", ".kiln", ".npy"))
        shutil.move(os.path.join(folder, "models", name + ".h5"), h5)
        fill(h5, 1)
        status, _, errors = call([kconv, "import", h5, "-o", kiln])
        os.remove(h5)
        if status != 0:
            print("%-17s not imported: %s" % (name, errors.strip()[:200]))
            failed += 1
            continue
        np.save(data, make_input(name, np))
        results = {}
        problem = ""
        for device in ("cpu", "gpu"):
            out = os.path.join(folder, device + ".npz")
            status, _, errors = call([kinfer, "predict", kiln, "--input", data, "--device", device, "--output", out])
            if status != 0:
                problem = (errors.strip().splitlines() or ["exit %s" % status])[-1]
                break
            with np.load(out) as z:
                results[device] = {k: z[k].astype("float64") for k in z.files}
        if problem:
            print("%-17s %s" % (name, problem[:220]))
            failed += 1
            continue
        worst = max(np.abs(results["cpu"][k] - results["gpu"][k]).max() / (np.abs(results["cpu"][k]).max() or 1) for k in results["cpu"])
        wrong = not worst <= 1e-4
        failed += wrong
        cpu, _ = median(kiln, "--device", "cpu")
        plain, _ = median(kiln, "--device", "gpu", KILN_GPU_TUNING="0")
        timed, _ = median(kiln, "--device", "gpu", KILN_GPU_TUNING="20")
        half, _ = median(kiln, "--device", "gpu", "--gpu-precision", "fp16", KILN_GPU_TUNING="20")
        status, profile, _ = call([kinfer, "profile", kiln, "--device", "gpu"])
        on_cpu = len(re.findall(r"^.*\bcpu\b\s+\S+\s", profile, re.M)) if status == 0 else "?"
        if a.out and status == 0:
            os.makedirs(a.out, exist_ok=True)
            with open(os.path.join(a.out, "profile-%s.txt" % name), "w") as f:
                f.write(profile)
        t32 = tf = None
        if torch:
            try:
                t32, tf = torch_ms(name, a.seconds)
            except Exception as e:
                problem = "torch: %s" % str(e).splitlines()[0][:80]
        print("%-17s %7s %10.1e %s %s %s %s %s %s  %s%s" % (
            name, on_cpu, worst, show(cpu), show(plain), show(timed), show(half), show(t32), show(tf, 10),
            "%.2f" % (timed / t32) if timed and t32 else "-", "  WRONG" if wrong else "  " + problem), flush=True)
        os.remove(kiln)
    shutil.rmtree(folder, ignore_errors=True)
    print("\n%s" % ("FAILED: %d" % failed if failed else "all right"))
    return 1 if failed else 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    s = p.add_subparsers(dest="command", required=True)
    q = s.add_parser("pack")
    q.add_argument("--bin", required=True)
    q.add_argument("--models", required=True)
    q.add_argument("--only", default="")
    q.add_argument("-o", "--output", default="bundle.tar.xz")
    q = s.add_parser("run")
    q.add_argument("bundle")
    q.add_argument("--out")
    q.add_argument("--minutes", type=float, default=8)
    q.add_argument("--seconds", type=float, default=1)
    q.add_argument("--every", type=int, default=25)
    a = p.parse_args()
    sys.exit(pack(a) if a.command == "pack" else run(a))


if __name__ == "__main__":
    main()
