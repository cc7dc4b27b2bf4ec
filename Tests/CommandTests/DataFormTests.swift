import Foundation
import TensorModule
import TestSupport
import Testing

/// The same numbers in every form give the same outputs.
@Suite struct DataFormTests {
  private static func pixels() throws -> Tensor { try NumPyFile.read(npy: Command.fixture("demo/input_pixels.npy")) }

  private static func predict(_ arguments: String...) throws -> Tensor {
    let folder = TemporaryFolder()
    let run = try Command.run("kinfer", ["predict", Demo.model()] + arguments + ["--output", folder.file("o.npz")])
    try #require(run.exitCode == 0, "\(run.errors)")
    return try #require(try NumPyFile.read(npz: folder.file("o.npz")).first?.tensor)
  }

  private static func nested(_ tensor: Tensor) -> String {
    let values = tensor.doubles
    let rows = (0..<10).map { sample in
      "[" + (0..<8).map { row in
        "[" + (0..<8).map { "[\(values[sample * 64 + row * 8 + $0])]" }.joined(separator: ",") + "]"
      }.joined(separator: ",") + "]"
    }
    return "[" + rows.joined(separator: ",\n") + "]"
  }

  @Test(arguments: ["npy", "float64.npy", "int.npy", "npz", "json", "object.json", "csv", "header.csv", "name=npy", "batches", "pictures", "folder", "threads"])
  func inputs(form: String) throws {
    let folder = TemporaryFolder()
    let tensor = try DataFormTests.pixels()
    let expected = try DataFormTests.predict("--input", Command.fixture("demo/input_pixels.npy"))
    let file = folder.file("x.\(form.split(separator: ".").last ?? "")")
    var arguments = ["--input", file]
    switch form {
    case "npy": try NumPyFile.write(npy: tensor, to: file)
    case "float64.npy": try NumPyFile.write(npy: tensor.converted(to: .float64), to: file)
    case "int.npy": try NumPyFile.write(npy: tensor.converted(to: .uint8), to: file)
    case "npz": try NumPyFile.write(npz: [("pixels", tensor)], to: file)
    case "json": try Data(DataFormTests.nested(tensor).utf8).write(to: URL(filePath: file))
    case "object.json": try Data("{\"pixels\": \(DataFormTests.nested(tensor))}".utf8).write(to: URL(filePath: file))
    case "csv", "header.csv":
      let values = tensor.doubles
      var text = form == "csv" ? "" : (0..<64).map { "pixel\($0)" }.joined(separator: ",") + "\r\n"
      for sample in 0..<10 { text += (0..<64).map { "\(values[sample * 64 + $0])" }.joined(separator: ",") + "\r\n" }
      try Data(text.utf8).write(to: URL(filePath: file))
    case "name=npy": arguments = ["--input", "pixels=" + Command.fixture("demo/input_pixels.npy")]
    case "batches": arguments = ["--input", Command.fixture("demo/input_pixels.npy"), "--batch-size", "3"]
    case "pictures": arguments = ["--input"] + (0..<10).map { Command.fixture("demo/digit_\($0).png") }
    case "folder": arguments = ["--input", Command.fixture("demo")]
    default: arguments = ["--input", Command.fixture("demo/input_pixels.npy"), "--threads", "1"]
    }
    let folderOut = TemporaryFolder()
    let run = try Command.run("kinfer", ["predict", Demo.model()] + arguments + ["--output", folderOut.file("o.npz")])
    try #require(run.exitCode == 0, "\(run.errors)")
    let got = try #require(try NumPyFile.read(npz: folderOut.file("o.npz")).first?.tensor)
    #expect(try TensorDifference.between(got, expected).outside == 0)
  }

  @Test(arguments: [
    ("short.json", "[[1, 2], [3]]", "equally long"), ("text.json", "[[\"a\"]]", "expected a number"), ("broken.json", "[1, 2", "JSON at byte"),
    ("rows.csv", "1,2\n3\n", "row 2"), ("words.csv", "1,2\n3,x\n", "'x' is not a number"), ("columns.csv", "1,2\n", "2 columns"),
    ("empty.csv", "", "no rows"), ("object.npy", "\u{93}NUMPY", "is none of"),
  ])
  func badInputs(name: String, content: String, message: String) throws {
    let folder = TemporaryFolder()
    try Data(content.utf8).write(to: URL(filePath: folder.file(name)))
    let run = try Command.kinfer("predict", Demo.model(), "--input", folder.file(name))
    #expect(run.exitCode == 4)
    #expect(try #require(run.errorLine).contains(message), "\(run.errors)")
  }

  @Test func missingBatchAxisIsNotGuessed() throws {
    let folder = TemporaryFolder()
    try NumPyFile.write(npy: DataFormTests.pixels().rows(0..<1).reshaped([8, 8, 1]), to: folder.file("x.npy"))
    let run = try Command.kinfer("predict", Demo.model(), "--input", folder.file("x.npy"))
    #expect(run.exitCode == 4)
    #expect(run.errors.contains("expected float32[?,8,8,1], found float32[8,8,1]"))
  }

  @Test func outputs() throws {
    let folder = TemporaryFolder()
    let input = Command.fixture("demo/input_pixels.npy")
    let expected = try NumPyFile.read(npy: Command.fixture("demo/expected_digit.npy"))
    let npy = try Command.kinfer("predict", Demo.model(), "--input", input, "--output", folder.file("o.npy"))
    #expect(npy.exitCode == 0 && npy.output.isEmpty)
    #expect(try TensorDifference.between(NumPyFile.read(npy: folder.file("o.npy")), expected).outside == 0)

    let piped = try Command.kinfer("predict", Demo.model(), "--input", input, "--output", "-", "--format", "npy")
    #expect(try piped.output == Data(contentsOf: URL(filePath: folder.file("o.npy"))))

    let json = try Command.kinfer("predict", Demo.model(), "--input", input, "--format", "json")
    let value = try JSON.parse(Array(json.output))
    #expect(value["schema"]?.intValue == 1)
    let rows = try #require(value["outputs"]?["digit"]?.arrayValue)
    let numbers = rows.flatMap { $0.arrayValue ?? [] }.compactMap(\.doubleValue)
    #expect(zip(numbers, expected.doubles).allSatisfy { Tolerance.framework.accepts($0, $1) } && numbers.count == 100)

    let top = try Command.kinfer("predict", Demo.model(), "--input", input, "--top", "3", "--output", folder.file("o.json"))
    #expect(top.exitCode == 0)
    let best = try JSON.parse(Array(Data(contentsOf: URL(filePath: folder.file("o.json")))))["top"]?["digit"]
    #expect((0..<10).allSatisfy { best?[$0]?[0]?["index"]?.intValue == $0 && best?[$0]?.arrayValue?.count == 3 })
    #expect(folder.names == ["o.json", "o.npy"])
  }

  @Test func benchPrintsTheContractsNumbers() throws {
    let run = try Command.kinfer(
      "bench", Demo.model(), "--json", "--seconds", "0.05", "--batch", "2", "--threads", "1", "--input",
      Command.fixture("demo/input_pixels.npy"), "--expected", Command.fixture("demo/expected_digit.npy"))
    #expect(run.exitCode == 0, "\(run.errors)")
    let value = try JSON.parse(Array(run.output))
    for key in ["median_ms", "min_ms", "p99_ms", "peak_rss_mb"] { #expect(try #require(value[key]?.doubleValue) > 0, "\(key)") }
    #expect(try #require(value["runs"]?.intValue) >= 3)
    #expect(try #require(value["max_abs_diff"]?.doubleValue) < 1e-4)
  }
}

extension Tensor {
  fileprivate func rows(_ range: Range<Int>) -> Tensor {
    let inner = shape.dropFirst().reduce(1, *)
    return Tensor(
      dtype: dtype, shape: [range.count] + shape.dropFirst(), address: address + range.lowerBound * inner * dtype.byteCount,
      owner: self)
  }
}
