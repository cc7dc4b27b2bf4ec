import CommandSupport
import Kiln

/// The outputs of a prediction over all samples.
struct Prediction {
  let sampleNames: [String]
  /// In the model's order.
  let outputs: [(name: String, tensor: Tensor)]
}

/// Writes predictions: to stdout, or to a file that appears complete or not at all.
struct OutputWriter {
  /// nil and `-` are stdout.
  let path: String?
  let format: OutputFormat
  /// How many classes to show instead of all values.
  let top: Int?
  let labels: Labels?

  func write(_ prediction: Prediction) throws {
    switch format {
    case .npz:
      guard let path, path != "-" else { throw KilnError(.usage, "an .npz goes to a file: --output FILE.npz") }
      try Interruption.deferring { try NumPyFile.write(npz: prediction.outputs, to: path) }
    case .npy:
      guard prediction.outputs.count == 1 else {
        throw KilnError(.usage, "the model has \(prediction.outputs.count) outputs; .npy holds one, .npz holds all")
      }
      try put(NumPyFile.bytes(prediction.outputs[0].tensor))
    case .json: try put(Array((try json(prediction).text() + "\n").utf8))
    case .text: try put(Array(try text(prediction).utf8))
    }
  }

  private func put(_ bytes: [UInt8]) throws {
    guard let path, path != "-" else { return try bytes.withUnsafeBytes { try Console.write($0) } }
    try OutputWriter.write(bytes, to: path)
  }

  /// Writes a file whole or not at all, over one that is there.
  static func write(_ bytes: [UInt8], to path: String) throws {
    try Interruption.deferring {
      var file = try AtomicFile.create(path: path, overwriting: true)
      try file.write(bytes)
      try file.commit()
    }
  }

  // MARK: JSON

  private func json(_ prediction: Prediction) throws -> JSON {
    var object = JSONObject([
      ("schema", .int(1)), ("samples", .array(prediction.sampleNames.map { .string($0) })),
    ])
    var outputs = JSONObject()
    for (name, tensor) in prediction.outputs {
      outputs[name] = try top.map { try topJSON(tensor, name, $0) } ?? OutputWriter.nested(tensor)
    }
    object[top == nil ? "outputs" : "top"] = .object(outputs)
    return .object(object)
  }

  private func topJSON(_ tensor: Tensor, _ name: String, _ count: Int) throws -> JSON {
    .array(
      try TopClasses.rows(of: tensor, named: name, count: count, labels).map { row in
        .array(
          row.entries.map { entry in
            .object(
              JSONObject([
                ("index", .int(entry.index)), ("label", .string(entry.label)), ("value", .double(entry.value)),
              ]))
          })
      })
  }

  /// Nested lists, as the shape has them. NaN and infinities become null, strings that are not UTF-8 `{"b64": "..."}`.
  private static func nested(_ tensor: Tensor) -> JSON {
    let leaves: [JSON] =
      switch tensor.dtype {
      case .string: tensor.strings.map { string in
        string.text.map { .string($0) } ?? .object(JSONObject([("b64", .string(Base64.encode(string.bytes)))]))
      }
      case .bool: tensor.integers.map { .bool($0 != 0) }
      // Through Float's own text: the shortest digits that give the same Float back.
      case .float32: tensor.floats.map { .double(Double("\($0)") ?? Double($0)) }
      case let dtype where dtype.isFloat: tensor.doubles.map { .double($0) }
      default: tensor.integers.map { .int(Int($0)) }
      }
    var level = leaves
    for length in tensor.shape.dropFirst().reversed() {
      guard length > 0 else { return .array((0..<tensor.shape[0]).map { _ in .array([]) }) }
      level = stride(from: 0, to: level.count, by: length).map { .array(Array(level[$0..<$0 + length])) }
    }
    return tensor.shape.isEmpty ? level[0] : .array(level)
  }

  // MARK: Text

  /// Values a line shows before it is cut; files and JSON hold them all.
  private static let valuesShown = 16

  private func text(_ prediction: Prediction) throws -> String {
    var out = ""
    let width = prediction.sampleNames.map(\.count).max() ?? 0
    for (name, tensor) in prediction.outputs {
      if prediction.outputs.count > 1 { out += "\(KilnError.escaped(name)) \(tensor.dtype.name)\(tensor.shape.shapeText)\n" }
      let lines = try self.lines(tensor, name, prediction.sampleNames.count)
      for (index, line) in lines.enumerated() {
        if lines.count == prediction.sampleNames.count, lines.count > 1 || prediction.sampleNames[index] != "0" {
          let sample = KilnError.escaped(prediction.sampleNames[index])
          out += sample + String(repeating: " ", count: max(0, width - sample.count)) + "  "
        }
        out += line + "\n"
      }
    }
    return out
  }

  private func lines(_ tensor: Tensor, _ name: String, _ samples: Int) throws -> [String] {
    if let top {
      return try TopClasses.rows(of: tensor, named: name, count: top, labels).map { row in
        row.entries.map { "\(KilnError.escaped($0.label)) \(NumberText.format($0.value, "%.4f"))" }.joined(separator: "  ")
      }
    }
    let values: [String] =
      switch tensor.dtype {
      case .string: tensor.strings.map(\.quoted)
      case let dtype where dtype.isFloat: tensor.doubles.map { NumberText.format($0, "%.6g") }
      default: tensor.integers.map(String.init)
      }
    guard let first = tensor.shape.first, first == samples, first > 0 else { return [line(values[...])] }
    let inner = values.count / first
    return (0..<first).map { line(values[$0 * inner..<($0 + 1) * inner]) }
  }

  private func line(_ values: ArraySlice<String>) -> String {
    let shown = values.prefix(OutputWriter.valuesShown).joined(separator: " ")
    return values.count > OutputWriter.valuesShown ? "\(shown) … (\(values.count) values)" : shown
  }
}
