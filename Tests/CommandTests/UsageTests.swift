import Foundation
import TestSupport
import Testing

/// Arguments, the exit code, and what the one line on stderr holds.
struct UsageCase: Sendable, CustomTestStringConvertible {
  let command: String
  let arguments: [String]
  let exitCode: Int32
  let message: String

  var testDescription: String { "\(command) \(arguments.joined(separator: " "))" }
}

private let pixels = Command.fixture("demo/input_pixels.npy")
private let picture = Command.fixture("demo/digit_1.png")

private let cases: [UsageCase] = [
  UsageCase(command: "kinfer", arguments: ["predict", "MODEL", "--input", pixels, "--memory-limit", "lots"], exitCode: 64, message: "memory-limit"),
  UsageCase(
    command: "kinfer", arguments: ["predict", "MODEL", "--input", pixels, "--memory-limit", "100"], exitCode: 1, message: "the limit is 100 bytes"),
  UsageCase(command: "kconv", arguments: ["frobnicate"], exitCode: 64, message: "frobnicate"),
  UsageCase(command: "kconv", arguments: ["import"], exitCode: 64, message: "<source>"),
  UsageCase(command: "kconv", arguments: ["import", "MODEL", "--format", "caffe"], exitCode: 64, message: "caffe"),
  UsageCase(command: "kconv", arguments: ["import", "MODEL", "--input-shape", "x"], exitCode: 64, message: "NAME=1,224,224,3"),
  UsageCase(command: "kconv", arguments: ["import", "MODEL", "--input-shape", "x=1,-3"], exitCode: 64, message: "NAME=1,224,224,3"),
  UsageCase(command: "kconv", arguments: ["import", "MODEL", "--check", "a.npz"], exitCode: 64, message: "IN.npz:OUT.npz"),
  UsageCase(command: "kconv", arguments: ["import", "/no/such/model.h5"], exitCode: 4, message: "/no/such/model.h5: cannot be opened"),
  UsageCase(command: "kconv", arguments: ["import", "SOURCE", "-o", "/no/such/folder/m.kiln"], exitCode: 1, message: "/no/such/folder"),
  UsageCase(command: "kconv", arguments: ["import", "SOURCE", "-o", "MODEL"], exitCode: 1, message: "exists already (--force overwrites it)"),
  UsageCase(command: "kconv", arguments: ["import", "SOURCE", "-o", "SOURCE", "--force"], exitCode: 1, message: "is the source itself"),
  UsageCase(command: "kconv", arguments: ["inspect", picture], exitCode: 4, message: "digit_1.png"),
  UsageCase(command: "kconv", arguments: ["inspect", "MODEL", "--depth", "0"], exitCode: 64, message: "--depth"),
  UsageCase(command: "kconv", arguments: ["verify", pixels], exitCode: 4, message: "input_pixels.npy"),
  UsageCase(command: "kconv", arguments: ["verify", "MODEL", "--input", pixels], exitCode: 64, message: "--against"),
  UsageCase(
    command: "kconv", arguments: ["verify", "MODEL", "--input", pixels, "--against", Command.fixture("demo/wrong.npy")],
    exitCode: 4, message: "wrong.npy"),
  UsageCase(command: "kconv", arguments: ["explain", "MODEL", "--disable-rule", "no-such"], exitCode: 64, message: "'no-such'"),
  UsageCase(command: "kinfer", arguments: ["predict"], exitCode: 64, message: "<model>"),
  UsageCase(command: "kinfer", arguments: ["predict", "MODEL"], exitCode: 64, message: "input 'pixels' is missing; it takes float32[?,8,8,1]"),
  UsageCase(command: "kinfer", arguments: ["predict", "/no/such.kiln", "--input", pixels], exitCode: 4, message: "/no/such.kiln"),
  UsageCase(command: "kinfer", arguments: ["predict", "MODEL", "--input", "/no/such.npy"], exitCode: 4, message: "/no/such.npy"),
  UsageCase(command: "kinfer", arguments: ["predict", "MODEL", "--input", "other=\(pixels)"], exitCode: 4, message: "no input 'other'"),
  UsageCase(command: "kinfer", arguments: ["predict", "MODEL", "--input", pixels, "--input", pixels], exitCode: 64, message: "given twice"),
  UsageCase(command: "kinfer", arguments: ["predict", "MODEL", "--input", pixels, "--device", "gpu"], exitCode: 1, message: "no OpenCL device"),
  UsageCase(command: "kinfer", arguments: ["predict", "MODEL", "--input", pixels, "--device", "tpu"], exitCode: 64, message: "tpu"),
  UsageCase(command: "kinfer", arguments: ["predict", "MODEL", "--input", pixels, "--threads", "0"], exitCode: 64, message: "--threads"),
  UsageCase(command: "kinfer", arguments: ["predict", "MODEL", "--input", pixels, "--batch-size", "0"], exitCode: 64, message: "--batch-size"),
  UsageCase(command: "kinfer", arguments: ["predict", "MODEL", "--input", pixels, "--top", "0"], exitCode: 64, message: "--top"),
  UsageCase(command: "kinfer", arguments: ["predict", "MODEL", "--input", pixels, "--labels", pixels], exitCode: 64, message: "--labels goes with --top"),
  UsageCase(
    command: "kinfer", arguments: ["predict", "MODEL", "--input", pixels, "--top", "1", "--labels", Command.fixture("demo/README.md")],
    exitCode: 4, message: "labels for the 10 classes"),
  UsageCase(
    command: "kinfer", arguments: ["predict", "MODEL", "--input", pixels, "--output", "x.npy", "--format", "json"], exitCode: 64,
    message: "does not fit"),
  UsageCase(command: "kinfer", arguments: ["predict", "MODEL", "--input", pixels, "--output", "/no/such/x.npz"], exitCode: 1, message: "/no/such/x.npz"),
  UsageCase(
    command: "kinfer", arguments: ["predict", "MODEL", "--input", picture, "--image-mode", "keras-torch"], exitCode: 64,
    message: "3 channels"),
  UsageCase(command: "kinfer", arguments: ["predict", "MODEL", "--input", Command.fixture("demo/digits.h5")], exitCode: 4, message: "is none of"),
  UsageCase(command: "kinfer", arguments: ["predict", "MODEL", "--input", Command.fixture("manifest.json")], exitCode: 4, message: "no input"),
  UsageCase(command: "kinfer", arguments: ["bench", "MODEL", "--expected", pixels], exitCode: 64, message: "--expected goes with --input"),
  UsageCase(command: "kinfer", arguments: ["bench", "MODEL", "--seconds", "-1"], exitCode: 64, message: "--seconds"),
]

@Suite struct UsageTests {
  @Test(arguments: cases) func refusal(_ item: UsageCase) throws {
    let folder = TemporaryFolder()
    let model = try Demo.model()
    let arguments = item.arguments.map { $0 == "MODEL" ? model : $0 == "SOURCE" ? Demo.source : $0 }
    let run = try Command.run(item.command, arguments, environment: ["XDG_CACHE_HOME": folder.path, "OCL_ICD_VENDORS": folder.path])
    #expect(run.signal == 0)
    #expect(run.exitCode == item.exitCode, "\(run.errors)")
    let line = try #require(run.errorLine, "not one line: \(run.errors)")
    #expect(line.hasPrefix("\(item.command): error: "))
    #expect(line.contains(item.message), "\(line)")
    #expect(run.output.isEmpty)
  }

  @Test(arguments: ["kconv", "kinfer"]) func helpAndVersion(command: String) throws {
    for flag in ["--help", "--version"] {
      let run = try Command.run(command, [flag])
      #expect(run.exitCode == 0)
      #expect(!run.output.isEmpty && run.errors.isEmpty)
    }
  }

  @Test func doctor() throws {
    let run = try Command.kinfer("doctor", environment: ["KILN_ISA_MAX": "scalar"])
    #expect(run.exitCode == 0)
    for word in ["instruction set  scalar", "threads", "blas", "libpng", "libjpeg", "KILN_ISA_MAX", "NO_COLOR"] {
      #expect(run.text.contains(word), "\(word)")
    }
  }
}
