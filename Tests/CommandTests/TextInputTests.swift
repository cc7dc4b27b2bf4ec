import Foundation
import TensorModule
import TestSupport
import Testing

/// Texts in every form that `kinfer predict` takes, and outputs of strings.
@Suite struct TextInputTests {
  private static let words = Command.fixture("text-keras-3.15.1/string_int_oov1")
  private static let sentences = Command.fixture("text-keras-3.15.1/text_lower_and_strip_punctuation_whitespace")

  private static func predict(_ model: String, _ arguments: [String]) throws -> Tensor {
    let folder = TemporaryFolder()
    let run = try Command.run("kinfer", ["predict", model, "--no-cache"] + arguments + ["--output", folder.file("o.npz")])
    try #require(run.exitCode == 0, "\(run.errors)")
    return try #require(try NumPyFile.read(npz: folder.file("o.npz")).first?.tensor)
  }

  @Test(arguments: ["S.npy", "npz", "txt", "jsonl", "object.jsonl", "text", "named text", "json", "b64.json"])
  func inputs(form: String) throws {
    let folder = TemporaryFolder()
    let model = Self.sentences + "/model.keras"
    let tensor = Tensor(strings: ["The cat, sat", "", "naïve \"x1\"", "42, a dog"], shape: [4, 1])
    try NumPyFile.write(npy: tensor, to: folder.file("x.npy"))
    let expected = try Self.predict(model, ["--input", folder.file("x.npy")])
    #expect(expected.shape == [4, 7] && expected.integers.contains { $0 > 1 })
    let file = folder.file("x.\(form.split(separator: ".").last ?? "")")
    let texts = tensor.strings.map(\.description)
    func write(_ text: String) throws { try Data(text.utf8).write(to: URL(filePath: file)) }
    func json(_ text: String) -> String { JSON.string(text).text() }
    var arguments = ["--input", file]
    switch form {
    case "S.npy":
      // An array with a text that is not UTF-8 is written as S; its row is not compared.
      let bytes = Tensor(strings: tensor.strings + [ByteString([0xFF])], shape: [5, 1])
      try NumPyFile.write(npy: bytes, to: file)
      let got = try Self.predict(model, arguments)
      #expect(Array(got.integers.prefix(28)) == expected.integers)
      return
    case "npz": try NumPyFile.write(npz: [("in_0", tensor)], to: file)
    case "txt": try write(texts.joined(separator: "\n") + "\n")
    case "jsonl": try write(texts.map(json).joined(separator: "\n"))
    case "object.jsonl": try write(texts.map { "{\"in_0\": [\(json($0))]}" }.joined(separator: "\r\n") + "\n\n")
    case "text": arguments = texts.flatMap { ["--text", $0] }
    case "named text": arguments = texts.flatMap { ["--text", "in_0=" + $0] }
    case "json": try write("[" + texts.map { "[\(json($0))]" }.joined(separator: ",") + "]")
    default: try write("[" + tensor.strings.map { "[{\"b64\": \"\(Base64.encode($0.bytes))\"}]" }.joined(separator: ",") + "]")
    }
    #expect(try Self.predict(model, arguments) == expected)
  }

  @Test func stringOutputs() throws {
    let model = Command.fixture("text-keras-3.15.1/string_inverse/model.keras")
    let folder = TemporaryFolder()
    try Data("[[3, 7, 0]]".utf8).write(to: URL(filePath: folder.file("x.json")))
    let run = try Command.run("kinfer", ["predict", model, "--no-cache", "--input", folder.file("x.json"), "--format", "json"])
    #expect(run.exitCode == 0, "\(run.errors)")
    #expect(run.text.contains("[[\"the\",\"[UNK]\",\"[UNK]\"]]"), "\(run.text)")
    let text = try Command.run("kinfer", ["predict", model, "--no-cache", "--input", folder.file("x.json")])
    #expect(text.text.contains("'the' '[UNK]' '[UNK]'"), "\(text.text)")
  }

  @Test func whatCannotBeTextIsAnError() throws {
    let folder = TemporaryFolder()
    try Data("[[1]]".utf8).write(to: URL(filePath: folder.file("n.json")))
    let number = try Command.run("kinfer", ["predict", Self.sentences + "/model.keras", "--no-cache", "--input", folder.file("n.json")])
    #expect(number.exitCode == 4 && number.errors.contains("expected a string"), "\(number.errors)")
    let three = try Command.run("kinfer", ["predict", Self.words + "/model.keras", "--no-cache", "--text", "cat"])
    #expect(three.exitCode == 64 && three.errors.contains("more than one text a sample"), "\(three.errors)")
    let digits = try Command.run("kinfer", ["predict", Demo.model(), "--text", "cat"])
    #expect(digits.exitCode == 64 && digits.errors.contains("takes no strings"), "\(digits.errors)")
  }

  @Test func unknownWordsWithoutAPlaceAreNamed() throws {
    let model = Command.fixture("text-keras-3.15.1/string_int_oov0/model.keras")
    let folder = TemporaryFolder()
    try Data("[[\"cat\", \"cow\", \"dog\"]]".utf8).write(to: URL(filePath: folder.file("x.json")))
    let run = try Command.run("kinfer", ["predict", model, "--no-cache", "--input", folder.file("x.json")])
    #expect(run.exitCode == 4 && run.errors.contains("'cow' is not in the vocabulary"), "\(run.errors)")
  }
}

/// Bytes as samples: NULs at their end, files as they are.
@Suite struct ByteInputTests {
  /// A graph that parses one feature, k, an integer, of serialized Examples.
  private static func model(_ folder: TemporaryFolder) throws -> String {
    func varint(_ value: Int) -> [UInt8] { value < 128 ? [UInt8(value)] : [UInt8(value & 127 | 128), UInt8(value >> 7)] }
    func field(_ number: Int, _ payload: [UInt8]) -> [UInt8] { varint(number << 3 | 2) + varint(payload.count) + payload }
    func field(_ number: Int, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }
    func number(_ number: Int, _ value: Int) -> [UInt8] { varint(number << 3) + varint(value) }
    func node(_ name: String, _ op: String, _ inputs: [String], _ attributes: [(String, [UInt8])]) -> [UInt8] {
      field(
        1,
        field(1, name) + field(2, op) + inputs.flatMap { field(3, $0) } + attributes.flatMap { field(5, field(1, $0.0) + field(2, $0.1)) })
    }
    let string = number(6, 7), int64 = number(6, 9)
    let open = field(2, [8] + [UInt8](repeating: 0xFF, count: 9) + [1])
    let none = field(8, number(1, 7) + field(2, field(2, number(1, 0))))
    let key = field(8, number(1, 7) + field(2, field(2, number(1, 1))) + field(8, "k"))
    let nothing = field(8, number(1, 9) + field(2, field(2, number(1, 0))))
    func list(_ items: [UInt8]) -> [UInt8] { field(1, items) }
    let bytes =
      node("serialized", "Placeholder", [], [("dtype", string), ("shape", field(7, open))])
      + node("names", "Const", [], [("dtype", string), ("value", none)]) + node("keys", "Const", [], [("dtype", string), ("value", key)])
      + node("default", "Const", [], [("dtype", int64), ("value", nothing)])
      + node(
        "parse", "ParseExampleV2", ["serialized", "names", "names", "keys", "names", "default"],
        [("Tdense", list(number(6, 9))), ("num_sparse", number(3, 0)), ("dense_shapes", list(field(7, [])))])
    let path = folder.file("parse.pb")
    try Data(bytes).write(to: URL(filePath: path))
    return path
  }

  private static func example(_ value: UInt8) -> [UInt8] { [10, 12, 10, 10, 10, 1, 107, 18, 5, 26, 3, 10, 1, value] }

  @Test func nulsThatEndAMessageAreItsOwn() throws {
    let folder = TemporaryFolder()
    let model = try Self.model(folder)
    // What NumPy writes for two elements, of which the first ends in a NUL.
    let header = Array("{'descr': '|S14', 'fortran_order': False, 'shape': (2,), }".utf8)
    let padded = header + [UInt8](repeating: 0x20, count: 117 - header.count) + [0x0A]
    let array = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(padded.count), 0] + padded + Self.example(0) + Self.example(7)
    try Data(array).write(to: URL(filePath: folder.file("x.npy")))
    for (index, value) in [UInt8(0), 7].enumerated() { try Data(Self.example(value)).write(to: URL(filePath: folder.file("\(index).bin"))) }
    for inputs in [["x.npy"], ["0.bin", "1.bin"]] {
      let arguments = inputs.flatMap { ["--input", folder.file($0)] }
      let run = try Command.run("kinfer", ["predict", model, "--no-cache"] + arguments + ["--output", folder.file("o.npz")])
      try #require(run.exitCode == 0, "\(run.errors)")
      #expect(try NumPyFile.read(npz: folder.file("o.npz")).first?.tensor.integers == [0, 7])
    }
  }
}
