import GraphModule
import TensorModule

extension CNTKOpCatalog {
  static let losses = Family(
    "Criteria",
    [
      Row("SquaredError") { call in
        let (values, axes) = try call.aligned()
        guard values.count == 2 else { throw call.wrong("takes 2 inputs, found \(values.count)") }
        let squares = try call.binary(.squaredDifference, values[0], values[1])
        return [try call.total(squares, axes)]
      },
      Row("CrossEntropyWithSoftmax") { call in
        // The scores come first, the labels second.
        let (values, axes) = try call.aligned()
        guard values.count == 2 else { throw call.wrong("takes 2 inputs, found \(values.count)") }
        let dims = call.type(values[0]).dims
        let flat = try call.reshape(values[0], dims.prefix(axes.count) + [dims.dropFirst(axes.count).reduce(Dim(1)) { $0 * $1 }])
        let scores = try call.reshape(try call.add(Softmax(axis: axes.count, log: true), [flat], "log_softmax"), dims)
        return [try call.total(try call.unary(.neg, try call.binary(.mul, values[1], scores)), axes)]
      },
      Row("Logistic") { call in
        guard call.inputs.count == 2 else { throw call.unsupported("a logistic criterion of \(call.inputs.count) inputs") }
        let (values, axes) = try call.aligned()
        let (score, label) = (values[0], values[1])
        let one = try call.scalar(1, call.type(score).dtype)
        let hit = try call.binary(.mul, label, try call.logarithm(score))
        let missed = try call.binary(.mul, try call.binary(.sub, one, label), try call.logarithm(try call.binary(.sub, one, score)))
        return [try call.total(try call.unary(.neg, try call.binary(.add, hit, missed)), axes)]
      },
      Row("CosDistance") { call in
        let (values, axes) = try call.aligned()
        guard values.count == 2 else { throw call.wrong("takes 2 inputs, found \(values.count)") }
        let product = try call.totalled(try call.binary(.mul, values[0], values[1]), axes)
        func length(_ id: ValueID) throws -> ValueID { try call.unary(.sqrt, try call.totalled(try call.unary(.square, id), axes)) }
        let lengths = try call.binary(.mul, try length(values[0]), try length(values[1]))
        let cosine = try call.binary(.mul, product, try call.reciprocal(lengths))
        return [call.result(try call.reshape(cosine, Array(call.type(cosine).dims.prefix(axes.count))), axes)]
      },
      Row("ClassificationError") { call in
        let (values, axes) = try call.aligned(call.inputs.count > 2 ? [0, 1] : nil)
        guard values.count == 2 else { throw call.wrong("takes 2 or 3 inputs, found \(values.count)") }
        let dtype = call.type(values[0]).dtype
        func flat(_ id: ValueID) throws -> ValueID {
          let dims = call.type(id).dims
          return try call.reshape(id, dims.prefix(axes.count) + [dims.dropFirst(axes.count).reduce(Dim(1)) { $0 * $1 }])
        }
        func place(_ id: ValueID) throws -> ValueID { try call.add(ArgReduce(.max, axis: axes.count, dtype: .int32), [id], "arg_max") }
        let (first, second) = (try flat(values[0]), try flat(values[1]))
        var count = 1
        if call.inputs.count > 2 {
          guard let number = try call.value(2).value.evaluated?.doubles.first, number >= 1, number <= 1_048_576 else { throw call.unsupported("a number of best classes that the data give") }
          count = Int(number)
        }
        let wrong: ValueID
        if count == 1 {
          wrong = try call.binary(.notEqual, try place(first), try place(second))
        } else {
          // Whether the label is among the best.
          let best = try call.addAll(TopK(k: min(count, try call.length(first, axes.count))), [first], "top_k")[1]
          let hits = try call.cast(try call.binary(.equal, best, try call.expand(try place(second), axes.count)), .int32)
          wrong = try call.binary(.equal, try call.reduce(.max, hits, [axes.count]), try call.scalar(0, .int32))
        }
        return [try call.total(try call.cast(wrong, dtype), axes)]
      },
    ])
}

extension CNTKCall {
  /// CNTK's own criteria are summed over all samples and steps.
  func total(_ id: ValueID, _ axes: CNTKAxes) throws -> CNTKValue {
    let clean = try masked(CNTKValue(value: .value(id, builder, name: name), axes: axes), 0)
    return result(try reshape(try reduce(.sum, clean, Array(0..<type(clean).rank)), [1]), .none)
  }

  /// The sum of a sample's elements, as [1].
  func totalled(_ id: ValueID, _ axes: CNTKAxes) throws -> ValueID {
    let dims = type(id).dims
    let sum = try reduce(.sum, id, Array(axes.count..<dims.count))
    return try reshape(sum, dims.prefix(axes.count) + [1])
  }
}
