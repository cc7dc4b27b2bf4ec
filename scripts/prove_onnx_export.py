#!/usr/bin/env python3
"""Exports every model below a folder of cases as ONNX, checks the file with onnx and runs it in onnxruntime beside `kinfer predict`.

usage: prove_onnx_export.py CASES --bin DIR [--filter TEXT] [--skip TEXT] [--part I/N] [--show N] [--jobs N] [--keep DIR]
       prove_onnx_export.py EXAMPLES --examples [--filter TEXT] [--show N]

EXAMPLES is a folder that `KILN_ONNX_EXAMPLES=DIR swift test --filter ONNXWriterTests` fills: every example of every op, with its inputs and outputs.

By hand, in an environment with onnx 1.23.2 and onnxruntime 1.32.0. A model counts as equal within 1e-5 of the larger of 1 and the largest
value, as refused when `kconv export` says what ONNX lacks, as not run when the file is valid and onnxruntime lacks a kernel for it, and as
wrong otherwise: not valid, other numbers, another shape, or an export that fails in another way. Exit 1 when anything is wrong.
"""
import argparse, collections, concurrent.futures as cf, json, os, re, subprocess, sys, tempfile

import numpy as np
import onnx
import onnxruntime as ort

ort.set_default_logger_severity(4)


def sources(case, folder):
    """The arguments of each model file of a case."""
    files = case.get("files", [])
    outputs = [o.get("tensor") for o in case.get("outputs", [])]
    named = ["--outputs", ",".join(o for o in outputs if o)] if any(outputs) else []
    architectures = [f for f in files if f.endswith((".json", ".yaml")) and not f.endswith(".weights.json")]
    seen = set()
    for name in files:
        path, base = os.path.join(folder, name), os.path.basename(name)
        if "saved_model" in name.split("/")[0] or name.endswith("saved_model.pb"):
            root = os.path.dirname(path) if name.endswith("saved_model.pb") else path if os.path.isdir(path) else None
            if root and root not in seen:
                seen.add(root)
                yield name, [root]
        elif name.endswith((".keras", ".onnx")):
            yield name, [path]
        elif name.endswith((".h5", ".hdf5")):
            if "weights" not in base:
                yield name, [path]
            else:
                for a in architectures[:1]:
                    yield name, [path, "--architecture", os.path.join(folder, a)]
        elif name.endswith((".pb", ".pbtxt", ".meta")):
            yield name, [path] + named


def run(command):
    return subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)


def feeds(case, folder, scratch):
    """(name, file, array) of each input."""
    for i in case["inputs"]:
        path = os.path.join(folder, i["file"])
        yield [(i.get("tensor") or "").split(":")[0], i["name"]], path, np.load(path, allow_pickle=False)
    for i in case.get("string_inputs", []):
        texts = [open(os.path.join(folder, f), "rb").read() for f in i["files"]]
        array = np.array(texts).reshape(i["shape"])
        path = os.path.join(scratch, i["name"].replace("/", "_") + ".npy")
        np.save(path, array)
        yield [i["name"]], path, array


def texts(array):
    """An array of strings as onnxruntime takes them."""
    flat = [b.decode("utf-8", "surrogateescape") if isinstance(b, bytes) else str(b) for b in array.ravel().tolist()]
    return np.array(flat, dtype=object).reshape(array.shape)


def compare(got, expected):
    if got.dtype.kind in "OUS" or expected.dtype.kind in "OUS":
        return 0 if texts(got).tolist() == texts(expected).tolist() else "other texts"
    if got.shape != expected.shape:
        return f"shape {got.shape} for {expected.shape}"
    g, e = got.astype(np.float64), expected.astype(np.float64)
    if not np.array_equal(np.isnan(g), np.isnan(e)):
        return "NaN elsewhere"
    finite = np.isfinite(e)
    if not np.array_equal(g[~finite & ~np.isnan(e)], e[~finite & ~np.isnan(e)]):
        return "infinities elsewhere"
    if not finite.any():
        return 0
    return np.abs(g[finite] - e[finite]).max() / max(1, np.abs(e[finite]).max())


def prove(a, folder, case, name, arguments):
    """(verdict, detail, transposes)"""
    with tempfile.TemporaryDirectory() as scratch:
        kiln, model, result = (os.path.join(scratch, n) for n in ["m.kiln", "m.onnx", "o.npz"])
        done = run([os.path.join(a.bin, "kconv"), "import", *arguments, "-o", kiln])
        if done.returncode:
            return "not imported", done.stderr.strip()[:150], 0
        done = run([os.path.join(a.bin, "kconv"), "export", kiln, "-o", model])
        if done.returncode == 3:
            return "refused", done.stderr.strip().split(": ", 1)[-1], 0
        if done.returncode:
            return "WRONG", f"export: {done.returncode} {done.stderr.strip()[:300]}", 0
        if a.keep:
            subprocess.run(["cp", model, os.path.join(a.keep, os.path.relpath(folder, a.cases).replace("/", "__") + "__" + name.replace("/", "_") + ".onnx")])
        try:
            onnx.checker.check_model(model, full_check=True)
        except Exception as error:
            return "WRONG", f"not valid: {str(error)[:300]}", 0
        transposes = sum(n.op_type == "Transpose" for n in onnx.load(model).graph.node)
        given = list(feeds(case, folder, scratch))
        command = [os.path.join(a.bin, "kinfer"), "predict", kiln]
        for names, path, _ in given:
            key = names[0] or names[-1]
            command += ["--input", f"{key}={path}" if len(given) > 1 else path]
        done = run(command + ["--output", result])
        if done.returncode:
            return "not predicted", done.stderr.strip()[:150], transposes
        ours = np.load(result, allow_pickle=False)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        try:
            session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            text = str(error)
            return ("not run" if "NOT_IMPLEMENTED" in text or "Could not find an implementation" in text else "WRONG"), f"session: {text[:300]}", transposes
        feed = {}
        kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16, "tensor(int32)": np.int32,
                 "tensor(int64)": np.int64, "tensor(bool)": np.bool_, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(int16)": np.int16}
        for k, i in enumerate(session.get_inputs()):
            found = [array for names, _, array in given if i.name in names or i.name.split(":")[0] in names]
            array = found[0] if found else given[min(k, len(given) - 1)][2]
            if i.type == "tensor(string)":
                array = texts(array)
            elif i.type in kinds:
                array = array.astype(kinds[i.type])
            if any(isinstance(d, int) and d != n for d, n in zip(i.shape, array.shape)):
                return "not run", f"input of {list(array.shape)} for {i.shape}, which kinfer runs in pieces", transposes
            feed[i.name] = array
        try:
            theirs = session.run(None, feed)
        except Exception as error:
            return "WRONG", f"run: {str(error)[:400]}", transposes
        if len(theirs) != len(ours.files):
            return "WRONG", f"{len(theirs)} outputs for {len(ours.files)}", transposes
        worst = 0
        for output, value, key in zip(session.get_outputs(), theirs, ours.files):
            error = compare(np.asarray(value), ours[key])
            if isinstance(error, str) or error > 1e-5:
                return "WRONG", f"output {output.name}: {error}", transposes
            worst = max(worst, error)
        return "equal", f"{worst:.1e}", transposes


def reason(problem):
    """A problem without names of nodes and files."""
    text = re.sub(r"^.*?'[^']*': (?=[a-z])", "", re.sub(r"^.*things cannot be written: ", "", problem))
    return text[:120] if text.startswith(("op ", "function ")) else re.sub(r"'[^']*'|\[[^]]*\]|/tmp/\S+", "…", text)[:120]


def examples(a):
    """Checks and runs the examples of the ops."""
    verdicts, by_op = collections.Counter(), collections.defaultdict(collections.Counter)
    for name in sorted(os.listdir(a.cases)):
        if not name.endswith(".onnx") or a.filter not in name:
            continue
        path = os.path.join(a.cases, name)
        arrays = np.load(path[:-5] + ".npz", allow_pickle=False)
        verdict, detail = "equal", ""
        try:
            onnx.checker.check_model(path, full_check=True)
            session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
            missing = [i.name for i in session.get_inputs() if i.name not in arrays.files]
            if missing or any(o.name not in arrays.files for o in session.get_outputs()):
                verdict = "not compared"
            else:
                feed = {i.name: texts(arrays[i.name]) if i.type == "tensor(string)" else arrays[i.name] for i in session.get_inputs()}
                for output, value in zip(session.get_outputs(), session.run(None, feed)):
                    loose = 0.02 if "float16" in output.type else 1e-5
                    error = compare(np.asarray(value), arrays[output.name])
                    if isinstance(error, str) or error > loose:
                        verdict, detail = "WRONG", f"{output.name}: {error}"
        except Exception as error:
            text = str(error)
            verdict, detail = ("not run" if "NOT_IMPLEMENTED" in text or "could not find an implementation" in text.lower() else "WRONG"), text[:200]
        # Where onnxruntime has its own idea of nothing and of NaN.
        if verdict == "WRONG" and any(v.size == 0 or v.dtype.kind == "f" and np.isnan(v).any() for v in (arrays[k] for k in arrays.files)):
            verdict = "other without elements or with NaN"
        verdicts[verdict] += 1
        by_op[name.rsplit("-", 2)[0]][verdict] += 1
        if verdict == "WRONG":
            print(f"WRONG {name}: {detail}")
    for op, counts in by_op.items():
        if set(counts) != {"equal"}:
            print(f"{op}: " + ", ".join(f"{c} {v}" for v, c in counts.items()))
    print(f"{sum(verdicts.values())} examples: " + ", ".join(f"{c} {v}" for v, c in verdicts.most_common()), flush=True)
    # onnxruntime's threads may abort an ordinary exit.
    os._exit(verdicts["WRONG"] > 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cases")
    parser.add_argument("--bin")
    parser.add_argument("--examples", action="store_true")
    parser.add_argument("--filter", default="")
    parser.add_argument("--skip", default="fixtures/bad")
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--show", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep")
    a = parser.parse_args()
    if a.examples:
        examples(a)
    if not a.bin:
        parser.error("--bin is needed")
    work = []
    for folder, folders, files in os.walk(a.cases):
        folders.sort()
        if "case.json" not in files or a.filter not in folder or (a.skip and a.skip in folder):
            continue
        case = json.load(open(os.path.join(folder, "case.json")))
        if case.get("expect", "match") != "clear-error":
            work += [(folder, case, name, arguments) for name, arguments in sources(case, folder)]
    part, parts = map(int, a.part.split("/"))
    work = work[part - 1::parts]
    verdicts, reasons, transposes = collections.Counter(), collections.Counter(), 0
    shown = 0
    with cf.ThreadPoolExecutor(a.jobs) as pool:
        for (folder, _, name, _), (verdict, detail, count) in zip(work, pool.map(lambda w: prove(a, *w), work)):
            verdicts[verdict] += 1
            transposes += count
            if verdict in ("refused", "not run", "not imported", "not predicted"):
                for problem in detail.split("; "):
                    reasons[f"{verdict}: " + reason(problem)] += 1
            if verdict == "WRONG" and shown < a.show:
                shown += 1
                print(f"WRONG {os.path.relpath(folder, a.cases)}/{name}: {detail}", flush=True)
    for text, count in reasons.most_common(60):
        print(f"{count:5} {text}")
    print(f"{len(work)} models, {transposes} transposes: " + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common()))
    sys.exit(verdicts["WRONG"] > 0)


main()
