import GraphModule
import ModelFormats
import TensorModule
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// `--replace-layer`: expressions in the place of Lambda layers, against what the layers themselves computed.
@Suite struct ReplaceLayerTests {
  /// A folder of `fixtures/lambda` with the expressions that say what its Lambda says.
  struct LambdaCase: Sendable, CustomTestStringConvertible {
    var folder: String
    var expression: String
    var testDescription: String { folder.split(separator: "/").suffix(2).joined(separator: "/") + ": " + expression }

    static let all: [LambdaCase] = {
      let root = "\(FixtureCase.root)/fixtures/lambda"
      var found: [LambdaCase] = []
      for version in names(root) {
        for name in names("\(root)/\(version)") {
          let folder = "\(root)/\(version)/\(name)"
          for expression in record(folder)["expressions"]?.arrayValue ?? [] {
            found.append(LambdaCase(folder: folder, expression: expression.stringValue ?? ""))
          }
        }
      }
      return found
    }()

    static func names(_ folder: String) -> [String] {
      guard let handle = opendir(folder) else { return [] }
      defer { closedir(handle) }
      var names: [String] = []
      while let entry = readdir(handle) {
        let name = withUnsafePointer(to: entry.pointee.d_name) { pointer in
          pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if !name.hasPrefix(".") { names.append(name) }
      }
      return names.sorted()
    }

    static func record(_ folder: String) -> JSON {
      guard let file = try? MappedFile(path: "\(folder)/replacements.json"), let json = try? JSON.parse(file.bytes) else { return .null }
      return json
    }
  }

  private func options(_ pairs: (String, String)...) -> ImportOptions {
    var options = ImportOptions()
    options.replacements = pairs.map { (name: $0.0, expression: $0.1) }
    return options
  }

  @Test(arguments: LambdaCase.all)
  func expressionsComputeWhatTheLambdaDid(_ test: LambdaCase) throws {
    let record = LambdaCase.record(test.folder)
    let graph = try ModelImporter.read(path: "\(test.folder)/model.h5", options: options(("lam", test.expression))).graph
    let inputs = try (record["inputs"]?.arrayValue ?? []).map {
      ReferenceTensor(try NumPyFile.read(npy: "\(test.folder)/\($0["file"]?.stringValue ?? "")"))
    }
    let results = try ReferenceBackend.run(graph, inputs)
    let expected = record["outputs"]?.arrayValue ?? []
    #expect(results.count == expected.count && !expected.isEmpty)
    for (result, file) in zip(results, expected) {
      let wanted = try NumPyFile.read(npy: "\(test.folder)/\(file["file"]?.stringValue ?? "")")
      #expect(result.shape == wanted.shape)
      for (a, b) in zip(result.numbers, wanted.doubles) { #expect(abs(a - b) <= 1e-5 * max(1, abs(b))) }
    }
  }

  @Test func thereAreCasesOfEveryGeneration() {
    let versions = Set(LambdaCase.all.compactMap { $0.folder.split(separator: "/").dropLast().last })
    #expect(versions.count >= 4 && LambdaCase.all.count >= 40)
  }

  private static let model = "\(FixtureCase.root)/fixtures/lambda/keras-3.15.1/affine/model.h5"

  private func message(_ body: () throws -> Void) -> String? {
    do { try body() } catch let error as KilnError { return error.line } catch { return "\(error)" }
    return nil
  }

  /// Each wrong expression, and a part of the one line that says so.
  @Test(arguments: [
    ("x *", "expected an operand at the end"), ("x * (2 + 1", "expected ')'"), ("(x", "expected ')'"), ("x[", "expected an operand"),
    ("x[]", "expected an index"), ("x 2", "expected an operator or the end at column 3"), ("x $ 2", "a sign without a meaning at column 3"),
    ("2x", "a number runs into a name"), ("'text", "closing quote"), ("", "expected an operand"), ("x + * 2", "expected an operand at column 5"),
    ("mean(axis=1, x)", "arguments by position"), ("mean(x, axis=1, axis=2)", "given twice"), ("x < 1 < 2", "comparisons in a row"),
    ("1.2.3", "no number"), ("lambda: x", "expected a name"), ("x.", "expected a name"),
  ])
  func wrongExpressionsSayWhere(_ text: String, _ part: String) {
    let found = message { _ = try ModelImporter.read(path: Self.model, options: options(("lam", text))) }
    #expect(found?.contains(part) == true, "\(found ?? "no error")")
    #expect(found?.contains("lam") == true && found?.contains("\n") == false)
  }

  /// Expressions that can be read and mean nothing for this layer.
  @Test(arguments: [
    ("y + 1", "unknown name 'y'"), ("frobnicate(x)", "unknown function 'frobnicate'"), ("meen(x)", "nearest: "), ("mean(x, axes=1)", "no argument 'axes'"),
    ("x.real", "has no 'real'"), ("1 + 1", "no tensor"), ("1 / 0", "no meaning for these constants"), ("x(2)", "unknown function"),
    ("reshape(x, (-1, -1))", "one of them"), ("x1 + x", "unknown name 'x1'"), ("unique(x)", "not supported"),
  ])
  func meaninglessExpressionsSayWhy(_ text: String, _ part: String) {
    let found = message { _ = try ModelImporter.read(path: Self.model, options: options(("lam", text))) }
    #expect(found?.contains(part) == true, "\(found ?? "no error")")
    #expect(found?.contains("lam") == true)
  }

  @Test func nestingHasALimit() {
    let deep = String(repeating: "(", count: 5000) + "x" + String(repeating: ")", count: 5000)
    #expect(message { _ = try ModelImporter.read(path: Self.model, options: options(("lam", deep))) }?.contains("nested deeper") == true)
    let long = String(repeating: "x + ", count: 5000) + "x"
    #expect(message { _ = try ModelImporter.read(path: Self.model, options: options(("lam", long))) }?.contains("longer than") == true)
    let minus = String(repeating: "-", count: 5000) + "x"
    #expect(message { _ = try ModelImporter.read(path: Self.model, options: options(("lam", minus))) }?.contains("nested deeper") == true)
  }

  @Test func namesMustBeThoseOfReplaceableLayers() {
    let unknown = message { _ = try ModelImporter.read(path: Self.model, options: options(("lamb", "x"))) }
    #expect(unknown?.contains("no layer 'lamb'") == true && unknown?.contains("'lam'") == true)
    let known = message { _ = try ModelImporter.read(path: Self.model, options: options(("out_0", "x"), ("lam", "x"))) }
    #expect(known?.contains("out_0") == true && known?.contains("activation 'linear' is read as it is") == true)
    let twice = message { _ = try ModelImporter.read(path: Self.model, options: options(("lam", "x"), ("lam", "x + 1"))) }
    #expect(twice?.contains("twice") == true)
  }

  // MARK: Activations

  private static let activations = ["keras-2.2.4-tf", "keras-3.15.1"].map { "\(FixtureCase.root)/fixtures/lambda/\($0)/activations" }

  @Test(arguments: activations)
  func expressionsComputeWhatOwnActivationsDid(_ folder: String) throws {
    let record = LambdaCase.record(folder)
    let sets = record["sets"]?.arrayValue?.compactMap(\.objectValue) ?? []
    #expect(sets.count == 2)
    for set in sets {
      var options = ImportOptions()
      options.replacements = set.entries.map { (name: $0.key, expression: $0.value.stringValue ?? "") }
      let graph = try ModelImporter.read(path: "\(folder)/model.h5", options: options).graph
      let result = try ReferenceBackend.run(graph, [ReferenceTensor(try NumPyFile.read(npy: "\(folder)/input_0.npy"))])[0]
      let wanted = try NumPyFile.read(npy: "\(folder)/expected_0.npy")
      #expect(result.shape == wanted.shape)
      for (a, b) in zip(result.numbers, wanted.doubles) { #expect(abs(a - b) <= 1e-5 * max(1, abs(b))) }
    }
  }

  /// Pairs that do not say what the own activations are, and a part of the message.
  @Test(arguments: [
    ([("conv.activation", "x")], "activation 'halved' is not supported; --replace-layer 'dense.activation="),
    ([("halved()", "x")], "activation '<lambda>' is Python code and is not loaded; --replace-layer 'rnn.activation="),
    ([("out_0.activation", "x"), ("halved()", "x"), ("<lambda>()", "x")], "activation 'tanh' is read as it is"),
    ([("conv.activaton", "x"), ("halved()", "x"), ("<lambda>()", "relu(x)")], "did you mean 'conv.activation'"),
    ([("halved()", "x"), ("<lambda>()", "x * 2")], "not one function of x such as 'relu(x)'"),
    ([("halved()", "x"), ("<lambda>()", "gelu(x)")], "not one function of x such as 'relu(x)'"),
    ([("halved()", "(x, x)"), ("<lambda>()", "relu(x)")], "one result, found 2"),
  ])
  func ownActivationsNeedTheirMeaning(_ pairs: [(String, String)], _ part: String) {
    for folder in Self.activations {
      var options = ImportOptions()
      options.replacements = pairs.map { (name: $0.0, expression: $0.1) }
      let found = message { _ = try ModelImporter.read(path: "\(folder)/model.h5", options: options) }
      #expect(found?.contains(part) == true, "\(found ?? "no error")")
    }
  }

  @Test func theRefusalShowsTheOption() {
    let found = message { _ = try ModelImporter.read(path: Self.model) }
    #expect(found?.contains("'lam'") == true && found?.contains("--replace-layer 'lam=") == true)
  }

  @Test(arguments: [
    ("2 ** 3 ** 2", 512.0), ("-2 ** 2", -4), ("7 // 2 + 7 % 4", 6), ("-7 // 2", -4), ("(1 + 2) * 3", 9), ("2 * 3 + 4", 10), ("10 - 4 - 3", 3),
    ("1e3 / 4", 250), ("int(2.9)", 2), ("2 ** -1", 0.5), ("(1, 2, 3)[-1]", 3), ("[4, 5, 6][1:][0]", 5), ("x.shape[1]", 4), ("x.ndim", 2), (".5 + 1.", 1.5),
  ])
  func numbersAreComputedAsInPython(_ text: String, _ value: Double) throws {
    let graph = try ModelImporter.read(path: Self.model, options: options(("lam", "x * 0 + (\(text))"))).graph
    let input = ReferenceTensor(.float32, [1, 4], .floats([1, 2, 3, 4]))
    #expect(try ReferenceBackend.run(graph, [input])[0].numbers == [Double](repeating: value, count: 4))
  }
}
