import GraphModule
import TensorModule

/// A graph under construction: the model's, or that of a loop's body or a branch.
final class TFBuilder {
  var graph: Graph
  /// The builder around this one.
  let parent: TFBuilder?
  /// Values from outside that became inputs, in order.
  private(set) var captures: [TFValue] = []
  private var captured: [ObjectIdentifier: ValueID] = [:]
  private var scalars: [String: ValueID] = [:]
  private var evaluations: [ValueID: Tensor?] = [:]
  private var producers: [ValueID: Int] = [:]
  private var indexed = 0
  /// Symbols, sizes and numbers that stand for each other.
  let sizes: TFSizes
  /// Values that were taken apart into blocks, by the results.
  var blocks: [ValueID: Blocks] = [:]
  /// Values that are 0, 1, 2, …
  var counts: Set<ValueID> = []
  /// The rows of each part that `DynamicPartition` makes.
  var partitions: [PartitionKey: [ValueID]] = [:]
  /// Parts of 0, 1, 2, …
  var pieces: [ValueID: Piece] = [:]
  /// How deep values are being made on demand.
  var depth = 0
  /// Values with known elements that are in the graph.
  private var knownValues: [ValueID: DimTensor] = [:]
  private var places: [String: (value: ValueID, axis: Int)] = [:]
  private var placed = 0

  /// What `SpaceToBatchND` took apart.
  struct Blocks {
    var x: ValueID
    var block: [Int]
    var paddings: [(Dim, Dim)]
  }

  struct PartitionKey: Hashable {
    var parts: ValueID
    var count: Int
  }

  struct Piece {
    var key: PartitionKey
    var index: Int
    /// How many numbers there were.
    var length: Dim
  }

  init(name: String, parent: TFBuilder? = nil) {
    graph = Graph(name: name)
    self.parent = parent
    sizes = TFSizes(parent?.sizes)
  }

  /// The value in this builder's graph; values from outside become inputs, constants are put in again.
  func id(_ value: TFValue) throws -> ValueID {
    if value.builder === self { return try value.materialised() }
    if let known = captured[ObjectIdentifier(value)] { return known }
    let id: ValueID
    if let constant = value.evaluated {
      id = graph.addConstant(value.name, constant)
    } else {
      guard case .tensor = value.kind else { throw value.refusal }
      id = try graph.addInput(free(value.name), value.type)
      captures.append(value)
      if let known = value.known { knownValues[id] = known }
    }
    captured[ObjectIdentifier(value)] = id
    return id
  }

  /// The input that a value from outside became.
  func capture(of value: TFValue) -> ValueID? { captures.contains { $0 === value } ? captured[ObjectIdentifier(value)] : nil }

  /// Notes what the elements of a value of the graph are.
  func note(_ id: ValueID, _ elements: DimTensor) { knownValues[id] = elements }

  /// The elements of a value of the graph, when they are known before anything runs.
  func known(_ id: ValueID) -> DimTensor? { knownValues[id] ?? evaluate(id).flatMap { DimTensor($0) } }

  /// A value of this very graph with an axis whose length is the symbol.
  func localPlace(of symbol: String) -> (value: ValueID, axis: Int)? {
    while placed < graph.values.count {
      let id = ValueID(placed)
      for (axis, dim) in graph.type(of: id).dims.enumerated() {
        if let name = dim.plainSymbol, places[name] == nil { places[name] = (id, axis) }
      }
      placed += 1
    }
    return places[symbol]
  }

  /// An input that is not a capture.
  func addInput(_ name: String, _ type: TensorType) throws -> TFValue {
    .value(try graph.addInput(free(name), type), self, name: name)
  }

  /// Lets go of the values that it knows.
  func close() {
    captures = []
    sizes.close()
  }

  /// A name that no value has.
  func free(_ name: String) -> String {
    var proposal = name
    var number = 1
    while graph.value(named: proposal) != nil {
      proposal = "\(name)_\(number)"
      number += 1
    }
    return proposal
  }

  /// A scalar constant, shared over the graph.
  func scalar(_ value: Double, _ dtype: DType) throws -> ValueID {
    let key = "\(dtype.name) \(value.bitPattern)"
    if let known = scalars[key] { return known }
    let id = graph.addConstant("const/\(dtype.name)_\(value)", try Tensor(converting: [value], to: dtype, shape: []))
    scalars[key] = id
    return id
  }

  private func indexProducers() {
    for index in indexed..<graph.nodes.count { for output in graph.nodes[index].outputs { producers[output] = index } }
    indexed = graph.nodes.count
  }

  /// The node that makes a value.
  func producer(of id: ValueID) -> Node? {
    indexProducers()
    return producers[id].map { graph.nodes[$0] }
  }

  private static let maximumEvaluated = 1 << 16

  /// The value, when it follows from constants alone and is small.
  func evaluate(_ id: ValueID) -> Tensor? {
    if let known = evaluations[id] { return known }
    indexProducers()
    // Post-order with a stack of our own.
    var stack = [id]
    while let top = stack.last {
      if evaluations[top] != nil {
        stack.removeLast()
        continue
      }
      if let constant = graph.constants[top] {
        evaluations[top] = .some(constant.count <= TFBuilder.maximumEvaluated ? constant : nil)
        continue
      }
      guard let producer = producers[top] else {
        evaluations[top] = .some(nil)
        continue
      }
      let node = graph.nodes[producer]
      let waiting = node.inputs.filter { evaluations[$0] == nil }
      if let next = waiting.first {
        stack.append(next)
        continue
      }
      let operands = node.inputs.compactMap { evaluations[$0] ?? nil }
      let types = node.outputs.map(graph.type(of:))
      for output in node.outputs { evaluations[output] = .some(nil) }
      guard operands.count == node.inputs.count,
        types.allSatisfy({ ($0.elementCount.fixed ?? Int.max) <= TFBuilder.maximumEvaluated }),
        node.op.flops(operands.map { TensorType($0.dtype, shape: $0.shape) }, types) <= 1 << 22,
        let results = try? node.op.evaluated(operands.map { ReferenceTensor($0) }, types)
      else { continue }
      for (output, result) in zip(node.outputs, results) { evaluations[output] = .some(try? result.tensor()) }
    }
    return evaluations[id] ?? nil
  }
}
