import GraphModule
import TensorModule

extension CNTKOpCatalog {
  static let recurrent = Family("Recurrent layers", [Row("OptimizedRNNStack") { try [CNTKRecurrentStack($0).build()] }])
}

/// Layers of cuDNN's recurrent cells with all weights in one parameter: for each layer and direction the kernel and the recurrent kernel,
/// gate after gate as rows; behind all of them two biases for each layer and direction.
struct CNTKRecurrentStack {
  private let call: CNTKCall
  private let cell: RNN.Cell
  private let activation: Activation
  private let units: Int
  private let layers: Int
  private let directions: [Bool]

  init(_ call: CNTKCall) throws {
    self.call = call
    units = try call.int("hiddenSize")
    layers = try call.int("numLayers")
    directions = try call.bool("bidirectional") ? [false, true] : [false]
    guard (1...1 << 16).contains(units), (1...256).contains(layers) else { throw call.wrong("has \(layers) layers of \(units) units") }
    switch try call.text("recurrentOp") {
    case "lstm": (cell, activation) = (.lstm, Activation(.tanh))
    case "gru": (cell, activation) = (.gruResetAfter, Activation(.tanh))
    case "rnnTanh": (cell, activation) = (.simple, Activation(.tanh))
    case "rnnReLU": (cell, activation) = (.simple, Activation(.relu))
    case let name: throw call.unsupported("the cell \(KilnError.quoted(name))")
    }
  }

  func build() throws -> CNTKValue {
    guard call.inputs.count == 2 else { throw call.wrong("takes 2 inputs, found \(call.inputs.count)") }
    let (value, weights) = (call.inputs[0], call.inputs[1])
    guard value.axes.hasBatch, let sequence = value.axes.sequence, value.shape.count <= 1 else { throw call.wrong("takes sequences of vectors, found \(value.value.type.message)") }
    guard let stored = weights.value.evaluated else { throw call.unsupported("weights that the data give") }
    let numbers = stored.doubles
    let dtype = value.value.type.dtype
    var width = try value.shape.isEmpty ? 1 : call.length(try call.x(0), 2)
    let gates = cell.gates
    var sizes: [Int] = []
    var total = 0
    for _ in 0..<layers {
      sizes.append(width)
      let more = directions.count.multipliedReportingOverflow(by: (width + units + 2) * units * gates)
      guard !more.overflow, total <= numbers.count - more.partialValue else { throw call.wrong("has \(numbers.count) weights, too few for \(layers) layers of \(units) units") }
      total += more.partialValue
      width = units * directions.count
    }
    guard total == numbers.count else { throw call.wrong("has \(numbers.count) weights; \(layers) layers of \(units) units take \(total)") }
    var kernels = 0, biases = total - layers * directions.count * 2 * units * gates
    func take(_ place: inout Int, _ count: Int) -> ArraySlice<Double> {
      defer { place += count }
      return numbers[place..<place + count]
    }
    // cuDNN's GRU has the reset gate first.
    let order = cell == .gruResetAfter ? [1, 0, 2] : Array(0..<gates)
    /// Gates as rows [gates · units, inner] turned into [inner, gates · units].
    func turned(_ rows: ArraySlice<Double>, _ inner: Int, _ name: String) throws -> ValueID {
      var result = [Double](repeating: 0, count: rows.count)
      for (place, gate) in order.enumerated() {
        for unit in 0..<units {
          for column in 0..<inner {
            result[column * gates * units + place * units + unit] = rows[rows.startIndex + (gate * units + unit) * inner + column]
          }
        }
      }
      return try call.numbers(result, [inner, gates * units], dtype, name)
    }
    let mask = try sequence.mask(call)
    var x = try call.reshape(try call.x(0), Array(value.value.type.dims.prefix(2)) + [value.shape.first ?? 1])
    for layer in 0..<layers {
      var results: [ValueID] = []
      for (index, isBackward) in directions.enumerated() {
        let name = "layer_\(layer)_\(index)"
        let kernel = try turned(take(&kernels, sizes[layer] * units * gates), sizes[layer], "\(name)/kernel")
        let recurrent = try turned(take(&kernels, units * units * gates), units, "\(name)/recurrent_kernel")
        func bias() -> [Double] {
          let values = Array(take(&biases, units * gates))
          return order.flatMap { values[$0 * units..<($0 + 1) * units] }
        }
        let (first, second) = (bias(), bias())
        let both = cell == .gruResetAfter
          ? try call.numbers(first + second, [2, gates * units], dtype, "\(name)/bias")
          : try call.numbers(zip(first, second).map { $0 + $1 }, [gates * units], dtype, "\(name)/bias")
        let op = RNN(cell: cell, activation: activation, goBackwards: isBackward, returnSequences: true, zeroOutputForMask: true, bias: true, mask: true)
        var y = try call.addAll(op, [x, kernel, recurrent, both, mask], name)[0]
        if isBackward { y = try call.add(Reverse(axes: [1]), [y], "reverse") }
        results.append(y)
      }
      x = try call.concat(results, axis: 2)
    }
    return call.result(x, value.axes)
  }
}
