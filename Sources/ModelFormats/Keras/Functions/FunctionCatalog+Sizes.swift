import GraphModule
import TensorModule

extension FunctionCatalog {
  /// Functions of shapes, and those that make tensors of given shapes.
  static let sizes: [String: Meaning] = [
    "shape": { call in
      let x = try call.tensor(0, "input", "x")
      call.ignore("optimize")
      let dtype = try call.dtype("out_type") ?? .int32
      return [try call.layer.tensor(of: KnownLengths(call.dims(of: x)), dtype)]
    },
    "size": { call in
      let x = try call.tensor(0, "input", "x")
      return [try call.layer.tensor(of: KnownLengths(scalar: call.type(x).elementCount), try call.dtype("out_type") ?? .int32)]
    },
    "rank": { call in
      [try call.layer.tensor(of: KnownLengths(scalar: Dim(call.rank(try call.tensor(0, "input", "x")))))]
    },
    "ndim": { call in
      [try call.layer.tensor(of: KnownLengths(scalar: Dim(call.rank(try call.tensor(0, "input", "x")))))]
    },
    "zeros": { try filled($0, 0) },
    "ones": { try filled($0, 1) },
    "fill": { call in
      guard let dims = try call.dims(0, "dims", "shape") else { throw call.wrong("dims are missing") }
      return [try call.broadcast(try call.materialised(try call.required(1, "value", "fill_value")), dims)]
    },
    "full": { call in
      guard let dims = try call.dims(0, "shape") else { throw call.wrong("shape is missing") }
      return [try call.broadcast(try call.materialised(try call.required(1, "fill_value"), try call.dtype("dtype")), dims)]
    },
    "empty_like": { try likeZeros($0) },
    "range": { try counted($0, "start", "limit", "delta") },
    "arange": { try counted($0, "start", "stop", "step") },
    "linspace": { call in
      guard let start = try call.numbers(0, "start"), let stop = try call.numbers(1, "stop"), start.shape.isEmpty, stop.shape.isEmpty,
        let num = try call.int("num") ?? 50 as Int?, (1...1 << 24).contains(num)
      else { throw call.unsupported("ends that are no numbers") }
      let (a, b) = (start.values[0], stop.values[0])
      let parts = Double(try call.bool("endpoint") == false ? num : max(num - 1, 1))
      let dtype = try call.dtype("dtype") ?? start.dtype ?? .float32
      return [try call.constant((0..<num).map { a + (b - a) * Double($0) / parts }, [num], dtype)]
    },
    "eye": { call in
      guard let rows = try call.json(at: 0, "num_rows", "N")?.intValue else { throw call.wrong("the size is missing") }
      let columns = try call.json(at: 1, "num_columns", "M")?.intValue ?? rows
      guard rows >= 0, columns >= 0 else { throw call.wrong("sizes must be 0 or more") }
      try call.limited(rows, columns)
      let k = try call.int("k") ?? 0
      let values = (0..<rows).flatMap { r in (0..<columns).map { c in c - r == k ? 1.0 : 0 } }
      let matrix = try call.constant(values, [rows, columns], try call.dtype("dtype") ?? .float32)
      let batch = try call.dims(nil, "batch_shape") ?? []
      return [try call.broadcast(matrix, batch + [Dim(rows), Dim(columns)])]
    },
    "tri": { call in
      guard let rows = try call.json(at: 0, "N")?.intValue else { throw call.wrong("N is missing") }
      let columns = try call.json(at: 1, "M")?.intValue ?? rows
      let k = try call.int("k") ?? 0
      guard rows >= 0, columns >= 0 else { throw call.wrong("sizes must be 0 or more") }
      try call.limited(rows, columns)
      let values = (0..<rows).flatMap { r in (0..<columns).map { c in c - r <= k ? 1.0 : 0 } }
      return [try call.constant(values, [rows, columns], try call.dtype("dtype") ?? .float32)]
    },
    "meshgrid": { call in
      guard call.isKeras else { throw call.unsupported("the file's form, in which TensorFlow leaves out operands,") }
      let first = call.argument(0, "x", "args")
      var trees: [FunctionCall.Argument] = if case .list(let items)? = first { items } else { first.map { [$0] } ?? [] }
      for position in 1..<16 { trees += call.argument(position, []).map { [$0] } ?? [] }
      let values = try call.unified(try trees.map(call.operand)).map { try call.layer.reshape($0, [call.type($0).elementCount]) }
      guard !values.isEmpty, values.count <= maximumRank else { throw call.wrong("takes 1 to \(maximumRank) vectors") }
      let swaps = try call.string("indexing") ?? "xy" == "xy" && values.count > 1
      func axis(_ index: Int) -> Int { swaps && index < 2 ? 1 - index : index }
      var dims = [Dim](repeating: 1, count: values.count)
      for (index, value) in values.enumerated() { dims[axis(index)] = call.dims(of: value)[0] }
      return try values.enumerated().map { index, value in
        var own = [Dim](repeating: 1, count: values.count)
        own[axis(index)] = call.dims(of: value)[0]
        return try call.broadcast(try call.layer.reshape(value, own), dims)
      }
    },
    "sequence_mask": { call in
      let lengths = try call.tensor(0, "lengths")
      guard let count = try call.int("maxlen"), (0...1 << 24).contains(count) else {
        throw call.unsupported("the form without maxlen, whose shape depends on the data,")
      }
      let places = try call.constant((0..<count).map(Double.init), [count], call.dtype(of: lengths))
      let mask = try call.apply(.less, places, try call.layer.expand(lengths, axis: -1))
      return [try call.cast(mask, try call.dtype("dtype") ?? .bool)]
    },
    // einops: `b (h p) w -> b h (p w)`, lengths of new axes by name.
    "rearrange": { call in
      let x = try call.tensor(0, "tensor")
      guard let pattern = call.argument(1, "pattern")?.constant?.stringValue else { throw call.wrong("the pattern is missing") }
      let wrong = call.wrong("the pattern \(KilnError.quoted(pattern)) does not fit \(call.type(x).message)")
      func groups(_ text: Substring) throws -> [[String]] {
        var result: [[String]] = []
        var open = false
        let spaced = text.flatMap { $0 == "(" || $0 == ")" ? [" ", $0, " "] : [$0] }
        for word in String(spaced).split(separator: " ") {
          if word == "(" {
            result.append([])
            open = true
          } else if word == ")" {
            open = false
          } else if open, !result.isEmpty {
            result[result.count - 1].append(String(word))
          } else {
            result.append([String(word)])
          }
        }
        return result
      }
      let sides = pattern.split(separator: ">", omittingEmptySubsequences: false)
      guard sides.count == 2, sides[0].last == "-", pattern.utf8.count <= 256 else { throw wrong }
      let (from, to) = (try groups(sides[0].dropLast()), try groups(sides[1]))
      let labels = from.flatMap { $0 }
      guard from.count == call.rank(x), Set(labels).count == labels.count, Set(to.flatMap { $0 }) == Set(labels), labels.count <= maximumRank,
        to.flatMap({ $0 }).count == labels.count
      else { throw wrong }
      var lengths: [String: Dim] = [:]
      for label in labels { if let length = try call.int(label) { lengths[label] = Dim(length) } }
      for (group, dim) in zip(from, call.dims(of: x)) {
        let open = group.filter { lengths[$0] == nil }
        let known = group.compactMap { lengths[$0] }.reduce(Dim(1), *)
        guard open.count <= 1 else { throw wrong }
        if let label = open.first {
          guard let rest = dim.exactlyDivided(by: known) else { throw wrong }
          lengths[label] = rest
        }
      }
      let split = try call.layer.reshape(x, labels.compactMap { lengths[$0] })
      let order = to.flatMap { $0 }.compactMap { labels.firstIndex(of: $0) }
      let moved = try call.layer.transpose(split, order)
      return [try call.layer.reshape(moved, to.map { $0.compactMap { lengths[$0] }.reduce(Dim(1), *) })]
    },
    "ensure_shape": { call in
      call.ignore("shape")
      return [try call.tensor(0, "x")]
    },
    "identity_n": { call in try call.list(0, "input").map { try call.layer.add(Elementwise(.identity), [$0], "identity") } },
    "zero_fraction": { call in
      let x = try call.tensor(0, "value")
      let zeros = try call.cast(try call.apply(.equal, x, 0), try call.dtype("dtype") ?? .float32)
      return [try call.reduce(.mean, zeros, Array(call.dims(of: x).indices), false)]
    },
    "unravel_index": { call in
      let x = try call.tensor(0, "indices")
      guard let shape = try call.ints("shape", "dims"), !shape.isEmpty, shape.count <= maximumRank, shape.allSatisfy({ $0 > 0 }) else {
        throw call.wrong("shape must be lengths of 1 or more")
      }
      // Keras divides from the first length on unless the indices are a vector.
      let order = call.rank(x) == 1 ? Array(shape.indices.reversed()) : Array(shape.indices)
      var results = [ValueID?](repeating: nil, count: shape.count)
      var rest = x
      for axis in order {
        results[axis] = try call.apply(.mod, rest, Double(shape[axis]))
        rest = try call.apply(.floorDiv, rest, Double(shape[axis]))
      }
      let found = call.rank(x) == 1 ? results.compactMap { $0 } : results.compactMap { $0 }.reversed()
      // TensorFlow gives the places one below the other.
      return call.isKeras ? found : [try call.stack(found, axis: 0)]
    },
    "reverse_sequence": { call in
      let x = try call.tensor(0, "input")
      let lengths = try call.materialised(try call.required(1, "seq_lengths"), .int32)
      let axis = try call.axis(try call.int("seq_axis", "seq_dim") ?? 1, of: x)
      let batch = try call.axis(try call.int("batch_axis", "batch_dim") ?? 0, of: x)
      guard batch == 0, axis == 1 else { throw call.unsupported("axes other than 0 and 1") }
      let count = try call.length(x, 1)
      let places = try call.constant((0..<count).map(Double.init), [count], .int32)
      let each = try call.layer.expand(lengths, axis: -1)
      let turned = try call.apply(.sub, try call.affine(each, 1, -1), places)
      let picks = try call.select(try call.apply(.less, places, each), turned, try call.broadcast(places, [call.dims(of: x)[0], Dim(count)]))
      return [try call.layer.add(Gather(axis: 1, batchDims: 1), [x, picks], "gather")]
    },
  ]

  private static func likeZeros(_ call: FunctionCall) throws -> [ValueID] {
    let x = try call.tensor(0, "x")
    return [try call.broadcast(try call.layer.scalar(0, try call.dtype("dtype") ?? call.dtype(of: x)), call.dims(of: x))]
  }

  private static func filled(_ call: FunctionCall, _ number: Double) throws -> [ValueID] {
    guard let dims = try call.dims(0, "shape") else { throw call.wrong("shape is missing") }
    return [try call.broadcast(try call.layer.scalar(number, try call.dtype("dtype") ?? .float32), dims)]
  }

  /// start, start + step, … below the end; an end that is known only with the inputs counts from 0 by ones.
  private static func counted(_ call: FunctionCall, _ names: String...) throws -> [ValueID] {
    guard let first = call.argument(0, names[0]) else { throw call.wrong("the end is missing") }
    let second = call.argument(1, names[1])
    let dtype = try call.dtype("dtype")
    let step = try call.json(at: 2, names[2])?.doubleValue ?? 1
    let end = second ?? first
    if let json = call.layer.builder.constant(end), let last = NumberArray(json), last.shape.isEmpty {
      var start = 0.0
      if second != nil {
        guard let json = call.layer.builder.constant(first)?.doubleValue else { throw call.unsupported("a start that depends on the input") }
        start = json
      }
      let count = ((last.values[0] - start) / step).rounded(.up)
      guard step != 0, count <= Double(NumberArray.maximumCount) else { throw call.wrong("a range of \(count) numbers") }
      let kind: DType = last.kind == .float32 || start != start.rounded() || step != step.rounded() ? .float32 : .int32
      let values = (0..<max(0, Int(count))).map { start + Double($0) * step }
      return [try call.constant(values, [values.count], dtype ?? kind)]
    }
    guard let known = call.layer.builder.lengths(end), known.isScalar, step == 1 else {
      throw call.unsupported("an end that depends on the data")
    }
    if second != nil, call.layer.builder.constant(first)?.doubleValue != 0 { throw call.unsupported("a start other than 0") }
    let ones = try call.broadcast(try call.layer.scalar(1, dtype ?? .int32), known.dims)
    return [try call.layer.add(Cumulative(.sum, axis: 0, exclusive: true, reverse: false), [ones], "range")]
  }
}
