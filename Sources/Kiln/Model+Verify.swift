import ModelFile
import TensorModule

/// How an output came out against what it should be.
public struct OutputComparison: Sendable {
  public let output: String
  /// `framework`, `reference` (Kiln's own plain loops), or `file` for outputs that the caller gave.
  public let origin: String
  /// The largest |got − expected|, and the largest relative to |expected|.
  public let maximumAbsolute: Double
  public let maximumRelative: Double
  /// How many elements are outside the tolerance, of how many.
  public let outside: Int
  public let count: Int

  public var agrees: Bool { outside == 0 }

  /// `output 'scores' (framework): 10 elements agree, largest difference 1.2e-07`.
  public var line: String {
    let state = agrees ? "\(count) elements agree" : "\(outside) of \(count) elements differ"
    return "output \(KilnError.quoted(output)) (\(origin)): \(state), largest difference \(Float(maximumAbsolute))"
  }
}

extension Model {
  /// Whether bytes begin as those of a `.kiln` file do.
  package static func isModelFile(_ bytes: UnsafeRawBufferPointer) -> Bool { KilnFile.isKilnFile(bytes) }

  /// Runs the check vectors that the `.kiln` file holds.
  ///
  /// - Returns: one comparison for each output of each vector; none when the file holds no vectors.
  /// - Throws: `KilnError`: `badInput` for a damaged file, `toleranceExceeded` for an output of another shape.
  public static func verify(contentsOf path: String, options: Options = Options()) throws -> [OutputComparison] {
    let stored = try KilnFile.load(path: path)
    let model = try Model(graph: stored.graph, options: options)
    do {
      return try stored.checks.flatMap { check in
        try model.compare(check.inputs, check.outputs, check.tolerance, check.origin.rawValue)
      }
    } catch let error as KilnError { throw error.inside(path) }
  }

  /// Compares the outputs for `inputs` with `expected`, both by name. A single tensor may have any name.
  public static func verify(
    contentsOf path: String, inputs: [(name: String, tensor: Tensor)], expected: [(name: String, tensor: Tensor)],
    tolerance: Tolerance = .framework, options: Options = Options()
  ) throws -> [OutputComparison] {
    try Model(contentsOf: path, options: options).compare(inputs, expected, tolerance, "file")
  }

  private func compare(
    _ given: [(name: String, tensor: Tensor)], _ expected: [(name: String, tensor: Tensor)], _ tolerance: Tolerance,
    _ origin: String
  ) throws -> [OutputComparison] {
    var named: [String: Tensor] = [:]
    for (name, tensor) in given { named[given.count == 1 && inputs.count == 1 ? inputs[0].name : name] = tensor }
    let results = try predict(named)
    return try expected.map { name, wanted in
      let name = expected.count == 1 && results.count == 1 ? results[0].name : name
      guard let got = results.first(where: { $0.name == name }) else {
        throw KilnError(.badInput, "the model has no output \(KilnError.quoted(name))")
      }
      let difference = try TensorDifference.between(got.tensor, wanted, tolerance)
      return OutputComparison(
        output: name, origin: origin, maximumAbsolute: difference.maximumAbsolute,
        maximumRelative: difference.maximumRelative, outside: difference.outside, count: wanted.count)
    }
  }
}
