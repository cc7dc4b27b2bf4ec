import GraphModule
import ModelFormats
import TensorModule

/// The inputs of two models that are compared.
struct DiffInputs {
  private let first: Graph
  private let second: Graph
  private let options: ModelDiff.Options

  init(_ first: Graph, _ second: Graph, _ options: ModelDiff.Options) {
    (self.first, self.second, self.options) = (first, second, options)
  }

  /// The same values for both models, each in its order.
  ///
  /// - Throws: `KilnError` (`badInput`) when the models do not take the same inputs.
  func draw(_ notes: inout [String]) throws -> (first: [Tensor], second: [Tensor]) {
    guard first.inputs.count == second.inputs.count else {
      throw KilnError(.badInput, "the models have \(first.inputs.count) and \(second.inputs.count) inputs")
    }
    var given = options.inputs
    // An array alone is the only input.
    if first.inputs.count == 1, let only = given.removeValue(forKey: "") { given[first[first.inputs[0]].name] = only }
    for name in given.keys.sorted() where first.value(named: name).map({ first.inputs.contains($0) }) != true {
      throw KilnError(.usage, "the first model has no input \(KilnError.quoted(name))")
    }
    var state = options.seed
    var tensors: [Tensor] = []
    let shapes = given.count == first.inputs.count ? first.inputs.map { _ in Shape() } : try self.shapes()
    for (id, shape) in zip(first.inputs, shapes) {
      let type = first.type(of: id)
      if let tensor = given[first[id].name] {
        guard tensor.dtype == type.dtype else {
          throw KilnError(.badInput, "input \(KilnError.quoted(first[id].name)) is \(type.message), found \(tensor.dtype.name)\(tensor.shape.shapeText)")
        }
        tensors.append(tensor)
      } else {
        tensors.append(try drawn(type.dtype, shape, &state))
      }
    }
    var others: [Tensor] = []
    for (index, id) in second.inputs.enumerated() {
      let place = first.inputs.firstIndex { first[$0].name == second[id].name } ?? index
      others.append(try fitted(tensors[place], second[id], &notes))
    }
    return (tensors, others)
  }

  /// Lengths for all symbols with which the first model runs.
  private func shapes() throws -> [Shape] {
    for (batch, length) in [(2, 8), (2, 1), (1, 16), (1, 64), (1, 256)] {
      var table: [String: Int] = [:]
      for id in first.inputs {
        for (axis, dim) in first.type(of: id).dims.enumerated() {
          for symbol in dim.symbols where table[symbol] == nil { table[symbol] = axis == 0 ? batch : length }
        }
      }
      let shapes = first.inputs.compactMap { first.type(of: $0).substituting(table).shape }
      if shapes.count == first.inputs.count, (try? first.specialized(to: shapes, allowingDataSizes: true)) != nil { return shapes }
    }
    throw KilnError(.badInput, "the first model's open lengths cannot be chosen", hint: "--inputs gives tensors")
  }

  private func drawn(_ dtype: DType, _ shape: Shape, _ state: inout UInt64) throws -> Tensor {
    let count = shape.elementCount
    if dtype == .string { return Tensor(strings: (0..<count).map { _ in ByteString(["a", "b", "one two", "three"][Int(next(&state) % 4)]) }, shape: shape) }
    // Integers may be indices: 0 and 1 are in range of nearly every table.
    let values = (0..<count).map { _ in dtype.isFloat ? Double(next(&state) >> 11) * 0x1p-52 - 1 : Double(next(&state) % 2) }
    return try Tensor(converting: values, to: dtype, shape: shape)
  }

  /// A tensor as another input takes it: with its axes in another order where only that fits.
  private func fitted(_ tensor: Tensor, _ value: Value, _ notes: inout [String]) throws -> Tensor {
    func fits(_ shape: Shape) -> Bool {
      shape.count == value.type.rank && zip(shape, value.type.dims).allSatisfy { $1.fixed == nil || $1.fixed == $0 }
    }
    let mismatch = KilnError(
      .badInput, "input \(KilnError.quoted(value.name)) of the second model is \(value.type.message), the first model's \(tensor.dtype.name)\(tensor.shape.shapeText)")
    var tensor = tensor
    if tensor.dtype != value.type.dtype {
      guard tensor.dtype != .string, value.type.dtype != .string else { throw mismatch }
      tensor = try Tensor(converting: tensor.doubles, to: value.type.dtype, shape: tensor.shape)
    }
    if fits(tensor.shape) { return tensor }
    let rank = tensor.shape.count
    guard rank >= 3, tensor.dtype != .string else { throw mismatch }
    for permutation in [[0, rank - 1] + Array(1..<rank - 1), [0] + Array(2..<rank) + [1]] where fits(permutation.map { tensor.shape[$0] }) {
      notes.append("input \(KilnError.quoted(value.name)) of the second model has the first model's axes \(permutation)")
      return try tensor.transposed(permutation)
    }
    throw mismatch
  }

  /// splitmix64.
  private func next(_ state: inout UInt64) -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}
