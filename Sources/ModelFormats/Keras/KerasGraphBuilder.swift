import GraphModule
import TensorModule

/// Builds the graph of a model, layer call by layer call, in topological order.
final class KerasGraphBuilder {
  var graph: Graph
  let dialect: KerasDialect
  /// The backend that the file names; empty when it does not.
  let backend: String
  let diagnostics: ImportDiagnostics
  /// The results of each layer's first call, by the layer's path.
  private(set) var results: [String: [ValueID]] = [:]
  /// What the calls of each layer give whose activity is penalized.
  private(set) var activities: [String: [ValueID]] = [:]
  /// Integers that are known as lengths of the inputs' axes, whatever the data.
  var lengths: [ValueID: KnownLengths] = [:]
  /// The imaginary parts of complex values.
  var imaginary: [ValueID: ValueID] = [:]
  private var scalars: [String: ValueID] = [:]
  /// Whether noise stays in the graph, and layers say what training needs of them.
  let isForTraining: Bool
  private var noiseCount = 0
  private var callCount = 0
  /// The place of each state in the graph's list, by the layer that keeps it.
  private var stateIndices: [String: Int] = [:]

  /// How many layer calls are built. Models that call nested models twice, level by level, grow exponentially.
  static let maximumCalls = 1 << 18

  init(name: String, dialect: KerasDialect, backend: String, diagnostics: ImportDiagnostics, isForTraining: Bool = false) {
    graph = Graph(name: name)
    self.isForTraining = isForTraining
    self.backend = backend
    self.dialect = dialect
    self.diagnostics = diagnostics
  }

  /// The next noise's number.
  func nextNoise() -> Int {
    noiseCount += 1
    return noiseCount - 1
  }

  /// A scalar constant; one for each value and dtype.
  func scalar(_ value: Double, _ dtype: DType) throws -> ValueID {
    let key = "\(dtype.name)(\(value))"
    if let made = scalars[key] { return made }
    let id = graph.addConstant(key, try Tensor(converting: [value], to: dtype, shape: []))
    scalars[key] = id
    return id
  }

  /// What a stateful layer reads in the place of a state: zeros in the first prediction, or what an earlier call of the
  /// layer left.
  ///
  /// - Parameter key: names the state; its layer's path and which of its states.
  func keptState(_ key: String, _ dtype: DType, _ shape: Shape) throws -> ValueID {
    if let index = stateIndices[key] { return graph.states[index].next }
    guard let size = checkedProduct(shape + [dtype.byteCount]), size <= KerasGraphBuilder.maximumStateBytes else {
      throw KilnError(.unsupportedModel, "a state of shape \(shape.shapeText) is too large")
    }
    let value = graph.addConstant(key, try Tensor(dtype: dtype, shape: shape) { _ in })
    stateIndices[key] = graph.states.count
    graph.states.append(State(value: value, next: value))
    return value
  }

  /// What the next prediction reads.
  func keepState(_ key: String, _ next: ValueID) {
    if let index = stateIndices[key] { graph.states[index].next = next }
  }

  private static let maximumStateBytes = 64 << 20

  private struct CallKey: Hashable {
    var layer: Int
    var call: Int
  }

  /// Adds the nodes of a model.
  ///
  /// - Parameters:
  ///   - inputs: one for each of the model's inputs, in flattened order.
  /// - Returns: the model's outputs; nil when one of them depends on a layer that cannot be built (its problem is noted).
  func run(_ model: KerasModel, _ inputs: [KerasTensor]) throws -> KerasTree<KerasTensor>? {
    let index = Dictionary(model.layers.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    var done: [CallKey: [KerasTensor]?] = [:]
    let inputReferences = model.inputs.leaves
    guard inputReferences.count == inputs.count else {
      throw KilnError(.badInput, "has \(inputReferences.count) inputs and is called with \(inputs.count)")
    }
    for (reference, input) in zip(inputReferences, inputs) {
      guard let layer = index[reference.layer] else { throw missing(reference) }
      done[CallKey(layer: layer, call: 0)] = [input]
    }
    func key(_ reference: KerasReference) throws -> CallKey {
      guard let layer = index[reference.layer] else { throw missing(reference) }
      let calls = model.layers[layer].calls.count
      guard done[CallKey(layer: layer, call: reference.call)] != nil || (0..<calls).contains(reference.call) else {
        throw missing(reference)
      }
      return CallKey(layer: layer, call: reference.call)
    }
    func tensor(_ reference: KerasReference) throws -> KerasTensor? {
      guard let made = done[try key(reference)] else { throw missing(reference) }
      guard let results = made else { return nil }
      guard results.indices.contains(reference.result) else { throw missing(reference) }
      return results[reference.result]
    }
    let order = try model.layers.indices.flatMap { layer in
      try model.layers[layer].calls.indices.map {
        try key(KerasReference(layer: model.layers[layer].name, call: $0, result: 0))
      }
    }
    // Depth-first with a stack of our own; a call that is met again while it is open closes a cycle.
    var open: Set<CallKey> = []
    var stack = Array(order.reversed())
    while let top = stack.last {
      // Checked here, where throwing ends every level, since a failed call alone lets its neighbours go on.
      guard callCount < KerasGraphBuilder.maximumCalls else {
        throw KilnError(.badInput, "the model makes more than \(KerasGraphBuilder.maximumCalls) layer calls")
      }
      if done[top] != nil {
        stack.removeLast()
        continue
      }
      let layer = model.layers[top.layer]
      let call = layer.calls[top.call]
      let waiting = try call.references.map(key).filter { done[$0] == nil }
      if !waiting.isEmpty {
        guard open.insert(top).inserted, !waiting.contains(where: open.contains) else {
          let names = Set(open.map { model.layers[$0.layer].path }).sorted().prefix(8).map { KilnError.quoted($0) }
          throw KilnError(.badInput, "layers depend on each other in a cycle: \(names.joined(separator: ", "))")
        }
        stack += waiting
        continue
      }
      open.remove(top)
      stack.removeLast()
      let arguments = try call.references.map(tensor)
      // A call that depends on a layer with a problem cannot be built either.
      guard arguments.allSatisfy({ $0 != nil }) else {
        done[top] = .some(nil)
        continue
      }
      func resolve(_ tree: KerasTree<KerasReference>) throws -> KerasTree<KerasTensor> {
        try tree.map { reference in
          guard let found = try tensor(reference) else { throw missing(reference) }
          return found
        }
      }
      done[top] = .some(
        build(
          layer, try call.arguments.map(resolve), try call.keywords.map { ($0.key, try resolve($0.value)) }))
    }
    var complete = true
    let outputs: KerasTree<KerasTensor?> = try model.outputs.map {
      let found = try tensor($0)
      complete = complete && found != nil
      return found
    }
    guard complete else { return nil }
    return try outputs.map {
      guard let found = $0 else { throw KilnError(.internal, "an output is missing") }
      return found
    }
  }

  private func missing(_ reference: KerasReference) -> KilnError {
    KilnError(
      .badInput,
      "call \(reference.call), result \(reference.result) of layer \(KilnError.quoted(reference.layer)) is used and does not exist"
    )
  }

  /// Builds one call; a failure is noted as the layer's problem.
  func build(
    _ layer: KerasLayer, _ arguments: [KerasTree<KerasTensor>],
    _ keywords: [(key: String, value: KerasTree<KerasTensor>)]
  ) -> [KerasTensor]? {
    callCount += 1
    do {
      return try buildChecked(layer, arguments, keywords)
    } catch let error as KilnError {
      let kind: ImportProblem.Kind = error.code == .unsupportedModel ? .unsupported : .malformed
      // An error of a nested layer has its place already.
      let place = error.path.isEmpty ? "" : error.path.map { KilnError.escaped($0) }.joined(separator: ": ") + ": "
      diagnostics.add(
        ImportProblem(
          kind: kind, layer: layer.path, className: layer.className, message: place + error.message, nearest: error.hint
        ))
      return nil
    } catch {
      diagnostics.add(
        ImportProblem(
          kind: .malformed, layer: layer.path, className: layer.className, message: "\(error)", nearest: nil))
      return nil
    }
  }

  /// Keeps what a layer gives when its activity is penalized, for training.
  func noteActivity(of layer: KerasLayer, _ outputs: [KerasTensor]) {
    guard layer.className == "ActivityRegularization" || layer.config.object["activity_regularizer"].map({ !$0.isNull }) == true else { return }
    activities[layer.path, default: []] += outputs.map(\.value)
  }

  private func buildChecked(
    _ layer: KerasLayer, _ arguments: [KerasTree<KerasTensor>],
    _ keywords: [(key: String, value: KerasTree<KerasTensor>)]
  ) throws -> [KerasTensor]? {
    let first = graph.values.count
    let call = LayerCall(builder: self, layer: layer, arguments: arguments, keywords: keywords)
    let problems = diagnostics.problems.count
    if !(layer.reader is FunctionNode), (arguments + keywords.map(\.value)).flatMap(\.leaves).contains(where: { imaginary[$0.value] != nil }) {
      throw KilnError(.unsupportedModel, "a complex input is not supported")
    }
    var outputs = try layer.reader.call(call)
    // A nested layer that could not be built has left its problem.
    if diagnostics.problems.count > problems && outputs.isEmpty { return nil }
    switch layer.reader.masking {
    case .passes: for index in outputs.indices { outputs[index].mask = index == 0 ? call.mask : nil }
    case .drops: for index in outputs.indices { outputs[index].mask = nil }
    case .computed: break
    }
    if !(layer.reader is any KerasModelContainer) {
      for index in outputs.indices {
        let name = index == 0 ? call.name : "\(call.name):\(index)"
        if outputs[index].value.index < first || graph.constants[outputs[index].value] != nil {
          // The layer hands on what it was given: a node of its own carries its name.
          let given = outputs[index].value
          outputs[index].value = try graph.addOne(Elementwise(.identity), [given], name: name, scope: layer.path)
          lengths[outputs[index].value] = lengths[given]
          imaginary[outputs[index].value] = imaginary[given]
        } else if graph.value(named: name) == nil {
          graph.rename(outputs[index].value, to: name)
        }
      }
    }
    if results[call.name] == nil { results[call.name] = outputs.map(\.value) }
    noteActivity(of: layer, outputs)
    let given = (arguments + keywords.map(\.value)).flatMap(\.leaves)
    if layer.resultTypes.isEmpty { layer.inputTypes = given.map { graph.type(of: $0.value) } }
    if given.contains(where: { $0.mask != nil }) || keywords.contains(where: { $0.key == "mask" && !$0.value.leaves.isEmpty }) { layer.isMasked = true }
    layer.resultTypes.append(outputs.map { graph.type(of: $0.value) })
    return outputs
  }
}

/// A reader whose results keep the names that inner layers gave them.
protocol KerasModelContainer: KerasLayerReader {}
