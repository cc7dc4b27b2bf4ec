import GraphModule
import TensorModule

/// An einsum equation of two operands, as Keras and NumPy write it: `abc,cd->abd`, `...x,xy->...y`.
struct EinsumEquation {
  let left: [Character]
  let right: [Character]
  let result: [Character]

  /// Reads an equation; an ellipsis stands for the axes of the left operand that have no label.
  ///
  /// - Throws: `KilnError` (`badInput`, `unsupportedModel`).
  init(_ text: String, leftRank: Int) throws {
    let wrong = KilnError(.badInput, "the equation \(KilnError.quoted(text)) must be like 'abc,cd->abd' for an input of rank \(leftRank)")
    guard text.utf8.count <= 256, let arrow = text.firstIndex(of: ">"), text[..<arrow].last == "-" else { throw wrong }
    let operands = text[..<arrow].dropLast().split(separator: ",", omittingEmptySubsequences: false)
    guard operands.count == 2 else { throw wrong }
    var parts = [String(operands[0]), String(operands[1]), String(text[text.index(after: arrow)...])].map { $0.filter { $0 != " " } }
    if parts.contains(where: { $0.contains(".") }) {
      guard parts[0].contains("..."), parts[2].contains("..."), !parts[1].contains(".") else { throw wrong }
      let open = leftRank - (parts[0].count - 3)
      guard (0...maximumRank).contains(open) else { throw wrong }
      let digits = String("0123456789".prefix(open))
      for index in [0, 2] {
        guard let place = parts[index].range(ofDots: 3) else { throw wrong }
        parts[index].replaceSubrange(place, with: digits)
      }
    }
    (left, right, result) = (Array(parts[0]), Array(parts[1]), Array(parts[2]))
    let labels = Set(left + right)
    guard left.count == leftRank, (left + right).allSatisfy({ $0.isLetter || $0.isNumber }), Set(left).count == left.count,
      Set(right).count == right.count, Set(result).count == result.count, result.allSatisfy(labels.contains)
    else { throw wrong }
  }

  init(left: [Character], right: [Character], result: [Character]) {
    self.left = left
    self.right = right
    self.result = result
  }
}

extension String {
  /// Where the first run of that many dots is.
  fileprivate func range(ofDots count: Int) -> Swift.Range<Index>? {
    guard let start = firstIndex(of: "."), let end = index(start, offsetBy: count, limitedBy: endIndex),
      self[start..<end].allSatisfy({ $0 == "." })
    else { return nil }
    return start..<end
  }
}

extension LayerCall {
  /// The einsum of two values as transposes, reshapes and one matrix product.
  ///
  /// - Parameter bias: added to the product when its axes are those that only `y` has, in the order of the result; [n].
  /// - Throws: `KilnError` (`badInput`) when the labels do not fit the values.
  func einsum(_ equation: EinsumEquation, _ x: ValueID, _ y: ValueID, bias: ValueID? = nil, _ suffix: String = "matmul") throws -> ValueID {
    guard equation.left.count == type(x).rank, equation.right.count == type(y).rank else {
      throw KilnError(.badInput, "the equation does not fit \(type(x).message) and \(type(y).message)")
    }
    var (a, b) = (x, y)
    var (left, right) = (equation.left, equation.right)
    // A label that one operand alone has, and the result has not, is summed over.
    func summed(_ value: ValueID, _ labels: [Character], _ others: [Character]) throws -> (ValueID, [Character]) {
      let axes = labels.indices.filter { !others.contains(labels[$0]) && !equation.result.contains(labels[$0]) }
      guard !axes.isEmpty else { return (value, labels) }
      let kept = labels.indices.filter { !axes.contains($0) }.map { labels[$0] }
      return (try add(Reduce(.sum, axes: axes, keepDims: false), [value], "sum"), kept)
    }
    (a, left) = try summed(a, left, right)
    (b, right) = try summed(b, right, left)
    let batch = left.filter { right.contains($0) && equation.result.contains($0) }
    let inner = left.filter { right.contains($0) && !equation.result.contains($0) }
    let rows = equation.result.filter { left.contains($0) && !right.contains($0) }
    let columns = equation.result.filter { right.contains($0) && !left.contains($0) }
    var lengths: [Character: Dim] = [:]
    for (label, dim) in zip(right, type(b).dims) { lengths[label] = dim }
    for (label, dim) in zip(left, type(a).dims) {
      if let other = lengths[label], other != dim, dim.fixed != nil, other.fixed != nil {
        throw KilnError(.badInput, "axis '\(label)' is \(dim) and \(other)")
      }
      lengths[label] = dim
    }
    func dims(_ labels: [Character]) -> [Dim] { labels.compactMap { lengths[$0] } }
    func whole(_ labels: [Character]) -> Dim { dims(labels).reduce(1, *) }
    func order(_ wanted: [Character], _ labels: [Character]) -> [Int] { wanted.compactMap { labels.firstIndex(of: $0) } }
    a = try transpose(a, order(batch + rows + inner, left))
    b = try transpose(b, order(batch + inner + columns, right))
    // Without common axes the rows may stay apart; they are the leading axes of a product with one matrix.
    let separate = batch.isEmpty && !rows.isEmpty && rows.count < maximumRank
    a = try reshape(a, (separate ? dims(rows) : dims(batch) + [whole(rows)]) + [whole(inner)])
    b = try reshape(b, dims(batch) + [whole(inner), whole(columns)])
    let natural = batch + rows + columns
    var product = try add(MatMul(epilogue: Epilogue(bias: bias != nil)), [a, b] + (bias.map { [$0] } ?? []), suffix)
    product = try reshape(product, dims(natural))
    return try transpose(product, order(equation.result, natural))
  }
}

/// Keras `EinsumDense`: activation(einsum(x, kernel) + bias).
struct EinsumDense: KerasLayerReader {
  let equation: String
  let outputShape: [Int?]
  let biasAxes: [Character]
  let activation: ActivationFunction
  let quantization: KerasQuantization?
  let lora: LowRank?

  init(_ config: LayerConfig, _ models: KerasModelReader) {
    quantization = config.quantization
    lora = LowRank(config)
    equation = config.string("equation", "")
    activation = .read(config, models)
    biasAxes = config.json("bias_axes") == nil ? [] : Array(config.string("bias_axes", "").prefix(maximumRank))
    let shape = config.json("output_shape")
    outputShape = shape?.arrayValue.map { $0.prefix(maximumRank).map(\.intValue) } ?? [shape?.intValue]
    config.ignore("gptq_unpacked_column_size")
    if equation.isEmpty { config.malformed("equation is missing") }
  }

  private var own: [WeightSlot] { KerasQuantization.slots(quantization, usesBias: !biasAxes.isEmpty) }
  var weights: [WeightSlot] { lora?.weights(beside: own, of: "kernel") ?? own }
  var objects: [VariableObject] { [VariableObject("", slots: own.map(\.name))] }
  var masking: MaskRule { .drops }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    let equation = try EinsumEquation(equation, leftRank: call.type(x).rank)
    // The first axis of the result is the batch; output_shape says the others, null where the input decides.
    var lengths: [Character: Int] = [:]
    for (label, dim) in zip(equation.left, call.type(x).dims) { lengths[label] = dim.fixed }
    let given = equation.result.suffix(outputShape.count)
    for (label, length) in zip(given, outputShape) {
      guard let length else { continue }
      guard length > 0, lengths[label] == nil || lengths[label] == length else {
        throw KilnError(.badInput, "output_shape says \(length) for axis '\(label)', its input \(lengths[label] ?? 0)")
      }
      lengths[label] = length
    }
    func shape(_ labels: [Character], _ what: String) throws -> Shape {
      try labels.map { label in
        guard let length = lengths[label] else { throw KilnError(.badInput, "the length of axis '\(label)' of its \(what) is not known") }
        return length
      }
    }
    let kernelShape = try shape(equation.right, "kernel")
    if let quantization {
      var result = try call.quantizedEinsum(equation, x, quantization, shape: kernelShape)
      if !biasAxes.isEmpty {
        let tail = Array(equation.result.drop { !biasAxes.contains($0) })
        let rest = try shape(tail.filter(biasAxes.contains), "bias")
        var lengths = rest[...]
        let biasShape = tail.map { biasAxes.contains($0) ? lengths.popFirst() ?? 1 : 1 }
        result = try call.kerasAdd(result, try call.quantizedBias(quantization, "bias", biasShape, as: biasShape))
      }
      return [KerasTensor(try activation.apply(call, result))]
    }
    let kernel = try call.mergedWeight("kernel", kernelShape, lora)
    guard !biasAxes.isEmpty else { return [KerasTensor(try activation.apply(call, try call.einsum(equation, x, kernel)))] }
    // From the first biased axis of the result on; the axes between are broadcast.
    let tail = Array(equation.result.drop { !biasAxes.contains($0) })
    let lengthsOfBias = try shape(tail.filter(biasAxes.contains), "bias")
    var rest = lengthsOfBias[...]
    let biasShape = tail.map { biasAxes.contains($0) ? rest.popFirst() ?? 1 : 1 }
    let free = equation.right.filter { !equation.left.contains($0) }
    let dims = equation.result.map { label in
      zip(equation.left, call.type(x).dims).first { $0.0 == label }?.1 ?? Dim(lengths[label] ?? 1)
    }
    if Set(tail) == Set(free), Set(tail) == Set(biasAxes), let width = checkedProduct(biasShape),
      call.biasAxis(of: dims, adding: biasShape.map { Dim($0) }) == nil
    {
      // The product's columns are in the order of the result.
      let bias = try call.weight("bias", biasShape) { $0.reshaped([width]) }
      return [KerasTensor(try activation.apply(call, try call.einsum(equation, x, kernel, bias: bias)))]
    }
    let bias = try call.weight("bias", biasShape)
    let sum = try call.kerasAdd(try call.einsum(equation, x, kernel), bias)
    return [KerasTensor(try activation.apply(call, sum))]
  }
}
