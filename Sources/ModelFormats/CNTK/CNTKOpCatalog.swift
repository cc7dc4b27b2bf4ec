import GraphModule
import TensorModule

/// What each primitive operation of CNTK means, by its name.
enum CNTKOpCatalog {
  typealias Reader = @Sendable (CNTKCall) throws -> [CNTKValue]

  struct Row: Sendable {
    var op: String
    var reader: Reader

    init(_ op: String, _ reader: @escaping Reader) {
      self.op = op
      self.reader = reader
    }

    /// One result with the dynamic axes of the first operand.
    init(like op: String, _ build: @escaping @Sendable (CNTKCall, ValueID) throws -> ValueID) {
      self.op = op
      reader = { call in [call.result(try build(call, try call.x(0)), try call.axes(0))] }
    }

    /// One result of operands that broadcast.
    init(broadcast op: String, _ count: Int, _ build: @escaping @Sendable (CNTKCall, [ValueID]) throws -> ValueID) {
      self.op = op
      reader = { call in
        guard call.inputs.count == count else { throw call.wrong("takes \(count) inputs, found \(call.inputs.count)") }
        let (values, axes) = try call.aligned()
        return [call.result(try build(call, values), axes)]
      }
    }
  }

  /// A heading of the table of ops, and the rows under it.
  struct Family: Sendable {
    var title: String
    var rows: [Row]

    init(_ title: String, _ rows: [Row]) {
      self.title = title
      self.rows = rows
    }
  }

  static let families: [Family] = [elementwise, comparisons, shapes, indexing, reductions, products, windows, normalizations, sequences, recurrent, losses]

  static let readers: [String: Reader] = Dictionary(families.flatMap(\.rows).map { ($0.op, $0.reader) }) { first, _ in first }

  /// Operations that are read without a reader of their own: what they do to the structure.
  static let structural: [(op: String, meaning: String)] = [
    ("Block", "looked through; what its placeholders stand for takes their place"), ("Combine", "its operands are the model's outputs"),
  ]

  /// Operations that no graph here can have, and why.
  static let refused: [(op: String, reason: String)] = [
    ("RandomSample", "random numbers"), ("RandomSampleInclusionFrequency", "random numbers"), ("RandomDistribution", "random numbers"),
    ("LambdaRank", "a criterion of training"), ("NDCG", "a measure over queries"), ("EditDistanceError", "a measure over decoded sequences"),
    ("LabelsToGraph", "training alone"), ("ForwardBackward", "training alone"), ("CosDistanceWithNegativeSamples", "a criterion of training"),
    ("Assign", "changes a variable"), ("LatticeSequenceWithSoftmax", "training alone"), ("CustomProxy", "code of the user's own"),
  ]

  static let names: [String] = readers.keys.sorted()
}
