import GraphModule
import InferenceRuntime
import Synchronization
import TensorModule

extension Model {
  /// Whether the first axis of every input and output, and no other axis, counts samples, so that a prediction may be split.
  public var isBatched: Bool { stateBatch != nil || batchSymbol != nil }

  /// The symbol that is the first dim of every input and output and occurs in no other dim; nil when there is none.
  private var batchSymbol: String? {
    let types = source.inputs.map(source.type(of:)) + source.outputs.map { source.type(of: $0.value) }
    guard let first = types.first?.dims.first, first.symbols.count == 1, let symbol = first.symbols.first,
      first == .symbol(symbol),
      types.allSatisfy({ $0.dims.first == first && !$0.dims.dropFirst().contains { $0.symbols.contains(symbol) } })
    else { return nil }
    return symbol
  }

  /// Predicts with a stateful model, as many samples at a time as it takes.
  ///
  /// - Throws: `KilnError` (`badInput`) when the samples are no multiple of that number, as Keras does.
  func predictInTurn(
    _ inputs: [Tensor], _ batch: Int, _ batchSize: Int?, _ state: inout ModelState
  ) throws -> [Tensor] {
    guard batchSize ?? batch == batch else {
      throw KilnError(.usage, "the model is stateful and takes \(batch) samples at once, found a batch size of \(batchSize ?? 0)")
    }
    let samples = inputs.first?.shape.first ?? batch
    guard batch > 0, samples > 0, samples % batch == 0, inputs.allSatisfy({ $0.shape.first == samples }) else {
      throw KilnError(
        .badInput, "the model is stateful and takes \(batch) samples at once, found \(samples)",
        hint: "give a multiple of \(batch) samples")
    }
    if samples == batch { return try run(inputs, &state) }
    var parts: [[Tensor]] = []
    for start in stride(from: 0, to: samples, by: batch) {
      parts.append(try run(inputs.map { $0.rows(start..<start + batch) }, &state))
    }
    return try outputs.indices.map { index in try Tensor.joined(parts.map { $0[index] }) }
  }

  /// Predicts batch after batch into one tensor for each output; nil when one batch holds all, or batches make no sense.
  func predictInBatches(_ inputs: [Tensor], _ batchSize: Int, _ state: inout ModelState) throws -> [Tensor]? {
    guard batchSize >= 1 else { throw KilnError(.usage, "the batch size must be 1 or more, found \(batchSize)") }
    guard let symbol = batchSymbol, let samples = inputs.first?.shape.first, samples > batchSize else { return nil }
    let bindings = try source.bind(inputs.map(\.shape))
    guard bindings[symbol] == samples else { return nil }

    let ranges = stride(from: 0, to: samples, by: batchSize).map { $0..<min($0 + batchSize, samples) }
    let parts: [[Tensor]]
    if state.tensors.isEmpty {
      parts = try inLanes(ranges.count) { index in try plans.run(inputs.map { $0.rows(ranges[index]) }) }
    } else {
      parts = try ranges.map { range in try run(inputs.map { $0.rows(range) }, &state) }
    }
    return try outputs.indices.map { index in try Tensor.joined(parts.map { $0[index] }) }
  }
}

extension Model {
  /// Does independent predictions, on a GPU some at once, so that transfers of one go beside the work of another.
  ///
  /// - Parameter work: makes the prediction of that number; called from several threads, in order of the numbers.
  /// - Returns: the results in order.
  /// - Throws: what the first prediction that failed threw; predictions that have not begun are left out then.
  public func inLanes<Result: Sendable>(_ count: Int, _ work: @Sendable (Int) throws -> Result) throws -> [Result] {
    guard let gpu, count > 1, !isStateful else { return try (0..<count).map(work) }
    // The first one makes the plan, which says how much memory another one takes.
    let first = try work(0)
    let results = Mutex([Result?](repeating: nil, count: count - 1))
    try ParallelWork.forEach(count - 1, threads: gpu.lanes) { index in
      let result = try work(index + 1)
      results.withLock { $0[index] = result }
    }
    return try [first] + results.withLock { results in
      try results.map { result in
        guard let result else { throw KilnError(.internal, "a batch was not predicted") }
        return result
      }
    }
  }
}

extension Tensor {
  /// A range along the first axis, without a copy of numbers.
  package func rows(_ range: Range<Int>) -> Tensor {
    let inner = shape.dropFirst().elementCount
    let part = [range.count] + shape.dropFirst()
    if dtype == .string {
      return Tensor(strings: Array(strings[range.lowerBound * inner..<range.upperBound * inner]), shape: part)
    }
    return Tensor(
      dtype: dtype, shape: part, address: address + range.lowerBound * inner * dtype.byteCount, owner: self)
  }

  /// Tensors of one type joined along the first axis.
  package static func joined(_ parts: [Tensor]) throws -> Tensor {
    guard let first = parts.first else { throw KilnError(.internal, "nothing to join") }
    // One part is the whole, a scalar too, which has no first axis.
    if parts.count == 1 { return first }
    let shape = [parts.reduce(0) { $0 + ($1.shape.first ?? 0) }] + first.shape.dropFirst()
    if first.dtype == .string { return Tensor(strings: parts.flatMap(\.strings), shape: shape) }
    return try Tensor(dtype: first.dtype, shape: shape) { memory in
      var offset = 0
      for part in parts {
        guard part.byteCount <= memory.count - offset, let base = memory.baseAddress else { continue }
        (base + offset).copyMemory(from: part.address, byteCount: part.byteCount)
        offset += part.byteCount
      }
    }
  }
}

extension ArraySlice where Element == Int {
  var elementCount: Int { reduce(1, *) }
}
