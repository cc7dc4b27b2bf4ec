import GraphModule
import TensorModule

extension FunctionCatalog {
  /// Functions that move elements.
  static let shapes: [String: Meaning] = [
    "reshape": { call in
      let x = try call.tensor(0, "x", "tensor")
      guard let target = try call.dims(nil, "newshape", "shape") else { throw call.wrong("shape is missing") }
      return [try reshaped(call, x, target)]
    },
    "ravel": { call in
      let x = try call.tensor(0, "x")
      return [try call.layer.reshape(x, [call.type(x).elementCount])]
    },
    "expand_dims": { call in
      let x = try call.tensor(0, "x", "input")
      guard let axes = try call.ints("axis", "dim") else { throw call.wrong("axis is missing") }
      let rank = call.type(x).rank + axes.count
      let places = Set(axes.map { $0 < 0 ? $0 + rank : $0 })
      guard rank <= maximumRank, places.count == axes.count, places.allSatisfy({ (0..<rank).contains($0) }) else {
        throw call.wrong("axis \(axes) is out of range for \(call.type(x).message)")
      }
      var old = call.type(x).dims.makeIterator()
      return [try call.layer.reshape(x, (0..<rank).map { places.contains($0) ? 1 : old.next() ?? 1 })]
    },
    "squeeze": { call in
      let x = try call.tensor(0, "x", "input")
      let type = call.type(x)
      let given = try call.ints("axis", "squeeze_dims")
      // Without axes every axis of length 1 goes; one of unknown length is taken to be longer.
      let axes =
        given?.isEmpty == false ? try call.axes(given, of: x) : type.dims.indices.filter { type.dims[$0] == 1 }
      for axis in axes where (type.dims[axis].fixed ?? 1) != 1 {
        throw call.wrong("axis \(axis) of \(type.message) is not of length 1")
      }
      return [try call.layer.reshape(x, type.dims.indices.filter { !axes.contains($0) }.map { type.dims[$0] })]
    },
    "transpose": { call in
      let x = try call.tensor(0, "x", "a")
      if try call.bool("conjugate") == true { throw call.unsupported("conjugate") }
      let rank = call.type(x).rank
      let order = try call.ints("axes", "perm") ?? (0..<rank).reversed()
      return [try permuted(call, x, try order.map { try call.axis($0, of: x) })]
    },
    "moveaxis": { call in
      let x = try call.tensor(0, "x")
      guard let from = try call.ints("source"), let to = try call.ints("destination"), from.count == to.count else {
        throw call.wrong("source and destination must be axes")
      }
      let sources = try from.map { try call.axis($0, of: x) }
      let targets = try to.map { try call.axis($0, of: x) }
      var order = [Int?](repeating: nil, count: call.type(x).rank)
      for (source, target) in zip(sources, targets) { order[target] = source }
      var rest = order.indices.filter { !sources.contains($0) }.makeIterator()
      return [try permuted(call, x, order.map { $0 ?? rest.next() ?? 0 })]
    },
    "swapaxes": { call in
      let x = try call.tensor(0, "x")
      guard let a = try call.int("axis1"), let b = try call.int("axis2") else { throw call.wrong("axes are missing") }
      var order = Array(0..<call.type(x).rank)
      order.swapAt(try call.axis(a, of: x), try call.axis(b, of: x))
      return [try permuted(call, x, order)]
    },
    "concatenate": { call in
      let values = try call.list(0, "values", "xs")
      let axis = try call.int("axis") ?? 0
      return [try call.layer.add(Concat(axis: try call.axis(axis, of: values[0])), values, "concat")]
    },
    "append": { call in
      var values = try call.unified([try call.required(0, "x1"), try call.required(1, "x2")])
      let axis = try call.int("axis")
      if axis == nil { values = try values.map { try call.layer.reshape($0, [call.type($0).elementCount]) } }
      return [try call.layer.add(Concat(axis: try call.axis(axis ?? 0, of: values[0])), values, "concat")]
    },
    "hstack": { call in
      let values = try call.list(0, "xs")
      return [try call.layer.add(Concat(axis: call.type(values[0]).rank > 1 ? 1 : 0), values, "concat")]
    },
    // Keras on TensorFlow joins vectors end to end, too.
    "vstack": { call in [try call.layer.add(Concat(axis: 0), try call.list(0, "xs"), "concat")] },
    "dstack": { call in
      let values = try call.list(0, "xs").map { value -> ValueID in
        var x = value
        while call.rank(x) < 2 { x = try call.layer.expand(x, axis: 0) }
        return call.rank(x) == 2 ? try call.layer.expand(x, axis: 2) : x
      }
      return [try call.layer.add(Concat(axis: 2), values, "concat")]
    },
    "vsplit": { call in try split(call, axis: 0) },
    "hsplit": { call in try split(call, axis: 1) },
    "dsplit": { call in try split(call, axis: 2) },
    "stack": { call in
      let values = try call.list(0, "values", "x")
      let rank = call.type(values[0]).rank + 1
      let axis = try call.int("axis") ?? 0
      let place = axis < 0 ? axis + rank : axis
      guard (0..<rank).contains(place), rank <= maximumRank else { throw call.wrong("axis \(axis) is out of range") }
      return [try call.layer.add(Concat(axis: place), try values.map { try call.layer.expand($0, axis: place) }, "stack")]
    },
    "unstack": { call in
      let x = try call.tensor(0, "x", "value")
      let axis = try call.axis(try call.int("axis") ?? 0, of: x)
      let count = try call.length(x, axis)
      if let num = try call.int("num"), num != count { throw call.wrong("num is \(num), the axis has \(count)") }
      guard count <= 4096 else { throw call.unsupported("\(count) parts") }
      return try (0..<count).map { index in
        try call.dropped(
          try call.sliced(x, axis: axis, Slice.Range(start: index, end: index + 1)), axis: axis)
      }
    },
    "split": { call in try split(call, axis: nil) },
    "array_split": { call in
      let x = try call.tensor(0, "x")
      let axis = try call.axis(try call.int("axis") ?? 0, of: x)
      guard let count = try call.int("indices_or_sections"), (1...4096).contains(count) else {
        throw call.wrong("indices_or_sections must be a number of parts")
      }
      let (small, larger) = try call.length(x, axis).quotientAndRemainder(dividingBy: count)
      var end = 0
      let ends = (0..<count - 1).map { index in
        end += small + (index < larger ? 1 : 0)
        return end
      }
      return try parts(call, x, axis, ends)
    },
    "tile": { call in
      let x = try call.tensor(0, "x", "input")
      guard var repeats = try call.dims(nil, "repeats", "multiples") else { throw call.wrong("repeats are missing") }
      let rank = max(call.type(x).rank, repeats.count)
      guard rank <= maximumRank else { throw call.wrong("too many axes") }
      repeats = [Dim](repeating: 1, count: rank - repeats.count) + repeats
      let dims = [Dim](repeating: 1, count: rank - call.type(x).rank) + call.type(x).dims
      var result = try call.layer.reshape(x, dims)
      for (axis, count) in repeats.enumerated() where count != 1 {
        guard (1...1 << 20).contains(count.fixed ?? 1) else { throw call.wrong("repeats must be 1 or more, found \(count)") }
        if call.dims(of: result)[axis] == 1 {
          var dims = call.dims(of: result)
          dims[axis] = count
          result = try call.broadcast(result, dims)
        } else {
          result = try repeated(call, result, axis, count, whole: true)
        }
      }
      return [result]
    },
    "repeat": { call in
      var x = try call.tensor(0, "x", "input")
      guard let repeats = try call.ints("repeats") else { throw call.wrong("repeats are missing") }
      let given = try call.int("axis")
      if given == nil { x = try call.layer.reshape(x, [call.type(x).elementCount]) }
      let axis = try call.axis(given ?? 0, of: x)
      if repeats.count == 1, let count = repeats.first {
        guard (1...1 << 20).contains(count) else { throw call.wrong("repeats must be 1 or more, found \(count)") }
        return [count == 1 ? x : try repeated(call, x, axis, Dim(count), whole: false)]
      }
      let length = try call.length(x, axis)
      guard repeats.count == length, repeats.allSatisfy({ (0...1 << 16).contains($0) }),
        repeats.reduce(0, +) <= NumberArray.maximumCount
      else { throw call.wrong("repeats \(repeats.count) do not fit an axis of length \(length)") }
      let picks = repeats.enumerated().flatMap { [Int64](repeating: Int64($0), count: $1) }
      let indices = call.layer.constant(try Tensor(picks, shape: [picks.count]), "indices")
      return [try call.layer.add(Gather(axis: axis), [x, indices], "gather")]
    },
    "flip": { call in
      let x = try call.tensor(0, "x")
      return [try call.layer.add(Reverse(axes: try call.axes(try call.ints("axis"), of: x)), [x], "reverse")]
    },
    "reverse": { call in
      let x = try call.tensor(0, "tensor")
      return [try call.layer.add(Reverse(axes: try call.axes(try call.ints("axis") ?? [], of: x)), [x], "reverse")]
    },
    "fliplr": { call in
      let x = try call.tensor(0, "x")
      return [try call.layer.add(Reverse(axes: [try call.axis(1, of: x)]), [x], "reverse")]
    },
    "flipud": { call in
      let x = try call.tensor(0, "x")
      return [try call.layer.add(Reverse(axes: [try call.axis(0, of: x)]), [x], "reverse")]
    },
    "flip_left_right": { call in
      let x = try call.tensor(0, "image")
      return [try call.layer.add(Reverse(axes: [try call.axis(-2, of: x)]), [x], "reverse")]
    },
    "flip_up_down": { call in
      let x = try call.tensor(0, "image")
      return [try call.layer.add(Reverse(axes: [try call.axis(-3, of: x)]), [x], "reverse")]
    },
    "rot90": { call in
      let x = try call.tensor(0, "array", "m", "image")
      let turns = (((try call.int("k") ?? 1) % 4) + 4) % 4
      let axes = try call.ints("axes") ?? (call.isKeras ? [0, 1] : [-3, -2])
      guard axes.count == 2 else { throw call.wrong("axes must be two") }
      let (a, b) = (try call.axis(axes[0], of: x), try call.axis(axes[1], of: x))
      if turns == 0 { return [x] }
      if turns == 2, call.isKeras, call.dims(of: x)[a] != call.dims(of: x)[b] {
        // Keras on TensorFlow reads the image that was turned once under the sides of the result.
        let others = (0..<call.rank(x)).filter { $0 != a && $0 != b }
        let moved = try call.layer.transpose(x, others + [a, b])
        let dims = call.dims(of: moved)
        let rank = dims.count
        func turned(_ value: ValueID) throws -> ValueID { try call.matrixTransposed(try call.reversed(value, axes: [rank - 1])) }
        let twice = try turned(try call.layer.reshape(try turned(moved), dims))
        let back = (others + [a, b]).indices.map { axis in (others + [a, b]).firstIndex(of: axis) ?? axis }
        return [try call.layer.transpose(try call.layer.reshape(twice, dims), back)]
      }
      if turns == 2 { return [try call.layer.add(Reverse(axes: [a, b].sorted()), [x], "reverse")] }
      var order = Array(0..<call.type(x).rank)
      order.swapAt(a, b)
      // Once: the second axis reversed, then both swapped; three times: swapped, then that one reversed.
      if turns == 1 {
        return [try call.layer.transpose(try call.layer.add(Reverse(axes: [b]), [x], "reverse"), order)]
      }
      return [try call.layer.add(Reverse(axes: [b]), [try call.layer.transpose(x, order)], "reverse")]
    },
    "roll": { call in
      let input = try call.tensor(0, "x", "input")
      guard let shifts = try call.ints("shift") else { throw call.wrong("shift is missing") }
      let axes = try call.ints("axis")
      var x = axes == nil ? try call.layer.reshape(input, [call.type(input).elementCount]) : input
      let places = try (axes ?? [0]).map { try call.axis($0, of: x) }
      guard shifts.count == places.count || shifts.count == 1 else { throw call.wrong("shift and axis differ in number") }
      for (index, axis) in places.enumerated() {
        let shift = shifts.count == 1 ? shifts[0] : shifts[index]
        var by = shift
        if let length = call.type(x).dims[axis].fixed { by = length == 0 ? 0 : ((shift % length) + length) % length }
        guard by != 0 else { continue }
        let head = try call.sliced(x, axis: axis, Slice.Range(start: -by))
        let tail = try call.sliced(x, axis: axis, Slice.Range(end: -by))
        x = try call.layer.add(Concat(axis: axis), [head, tail], "roll")
      }
      return [axes == nil ? try call.layer.reshape(x, call.type(input).dims) : x]
    },
    "pad": { try pad($0) },
    "broadcast_to": { call in
      let x = try call.tensor(0, "x", "input")
      guard let shape = try call.dims(nil, "shape"), shape.allSatisfy({ ($0.fixed ?? 0) >= 0 }) else { throw call.wrong("shape is missing") }
      return [try call.layer.add(BroadcastTo(shape), [x], "broadcast")]
    },
    "zeros_like": { try filled($0, 0) },
    "ones_like": { try filled($0, 1) },
    "full_like": { call in
      let x = try call.tensor(0, "x")
      let dtype = try call.dtype("dtype") ?? call.type(x).dtype
      let value = try call.materialised(try call.required(1, "fill_value"), dtype)
      return [try call.layer.add(BroadcastTo(call.type(x).dims), [value], "broadcast")]
    },
    "tril": { try triangle($0, lower: true) },
    "triu": { try triangle($0, lower: false) },
    "diagonal": { [try diagonal($0)] },
    "trace": { call in
      let values = call.isKeras ? try diagonal(call) : try diagonal(call, try call.tensor(0, "x"))
      return [try call.reduce(.sum, values, [call.type(values).rank - 1], false)]
    },
    "diff": { call in
      var x = try call.tensor(0, "a", "x")
      let axis = try call.axis(try call.int("axis") ?? -1, of: x)
      let times = try call.int("n") ?? 1
      guard (0...64).contains(times) else { throw call.unsupported("n \(times)") }
      for _ in 0..<times {
        x = try call.layer.binary(
          .sub, try call.sliced(x, axis: axis, Slice.Range(start: 1)), try call.sliced(x, axis: axis, Slice.Range(end: -1)))
      }
      return [x]
    },
  ]

  static func reshaped(_ call: FunctionCall, _ x: ValueID, _ target: [Dim]) throws -> ValueID {
    let type = call.type(x)
    let text = target.map { $0.fixed.map(String.init) ?? "?" }.joined(separator: ",")
    guard target.allSatisfy({ ($0.fixed ?? 0) >= -1 }), target.count(where: { $0 == -1 }) <= 1, target.count <= maximumRank else {
      throw call.wrong("shape [\(text)] must be at most \(maximumRank) lengths, one of them −1 at most")
    }
    var dims = target
    let known = target.filter { $0 != -1 }.reduce(Dim(1), *)
    if let open = target.firstIndex(of: -1) {
      guard let rest = type.elementCount.exactlyDivided(by: known) else {
        throw call.wrong("\(type.message) does not reshape to [\(text)]")
      }
      dims[open] = rest
    } else if let count = type.elementCount.fixed, let fixed = known.fixed, count != fixed {
      throw call.wrong("\(type.message) does not reshape to [\(text)]")
    }
    return try call.layer.reshape(x, dims)
  }

  private static func permuted(_ call: FunctionCall, _ x: ValueID, _ order: [Int]) throws -> ValueID {
    guard order.sorted() == Array(0..<call.type(x).rank) else {
      throw call.wrong("axes \(order) do not name every axis of \(call.type(x).message) once")
    }
    return try call.layer.transpose(x, order)
  }

  /// Equal parts, or parts between given ends; TensorFlow's are lengths.
  private static func split(_ call: FunctionCall, axis fixed: Int?) throws -> [ValueID] {
    let x = try call.tensor(0, "x", "value")
    let given = try fixed ?? call.int("axis") ?? 0
    // A vector has one axis to split.
    let axis = try call.axis(given == 1 && fixed != nil && call.rank(x) == 1 ? 0 : given, of: x)
    guard let sections = try call.json("indices_or_sections", "num_or_size_splits") else {
      throw call.wrong("the sections are missing")
    }
    call.ignore("num")
    let length = try call.length(x, axis)
    if let count = sections.intValue {
      guard count > 0, length % count == 0, count <= 4096 else { throw call.wrong("\(length) does not split in \(count)") }
      return try parts(call, x, axis, (1..<count).map { $0 * (length / count) })
    }
    var numbers = try call.integers(sections, "sections")
    if !call.isKeras {
      // TensorFlow's are lengths, one of them −1 at most.
      guard numbers.count(where: { $0 < 0 }) <= 1 else { throw call.wrong("two lengths of −1") }
      let rest = length - numbers.filter { $0 >= 0 }.reduce(0, +)
      numbers = numbers.map { $0 < 0 ? rest : $0 }
      guard rest >= 0, numbers.reduce(0, +) == length else { throw call.wrong("lengths \(numbers) do not sum to \(length)") }
      var sum = 0
      numbers = numbers.dropLast().map {
        sum += $0
        return sum
      }
    }
    return try parts(call, x, axis, numbers)
  }

  /// The parts of an axis between the given ends.
  private static func parts(_ call: FunctionCall, _ x: ValueID, _ axis: Int, _ ends: [Int]) throws -> [ValueID] {
    guard ends.count < 4096 else { throw call.unsupported("\(ends.count) parts") }
    let starts: [Int?] = [nil] + ends
    let stops: [Int?] = ends + [nil]
    return try zip(starts, stops).map { start, end in
      try call.sliced(x, axis: axis, Slice.Range(start: start, end: end))
    }
  }

  /// The axis `count` times over, as a whole or element by element.
  private static func repeated(
    _ call: FunctionCall, _ x: ValueID, _ axis: Int, _ count: Dim, whole: Bool
  ) throws -> ValueID {
    var dims = call.type(x).dims
    let place = whole ? axis : axis + 1
    guard dims.count < maximumRank else { throw call.unsupported("a tensor of rank \(dims.count)") }
    dims.insert(1, at: place)
    let expanded = try call.layer.reshape(x, dims)
    dims[place] = count
    let spread = try call.layer.add(BroadcastTo(dims), [expanded], "broadcast")
    dims[axis] = dims[axis] * dims[axis + 1]
    dims.remove(at: axis + 1)
    return try call.layer.reshape(spread, dims)
  }

  private static func filled(_ call: FunctionCall, _ number: Double) throws -> [ValueID] {
    let x = try call.tensor(0, "x", "input", "tensor")
    call.ignore("optimize")
    let type = call.type(x)
    var dtype = type.dtype
    if let given = try call.json("dtype"), given["class_name"] == nil || given["config"]?.stringValue != nil {
      dtype = try call.dtype("dtype") ?? dtype
    }
    return [try call.layer.add(BroadcastTo(type.dims), [try call.layer.scalar(number, dtype)], "broadcast")]
  }

  private static func pad(_ call: FunctionCall) throws -> [ValueID] {
    let x = try call.tensor(0, "x", "tensor")
    let rank = call.type(x).rank
    guard let given = try call.json("pad_width", "paddings") else { throw call.wrong("the amounts are missing") }
    guard let array = NumberArray(given), array.kind == .int64 else { throw call.wrong("the amounts must be integers") }
    let numbers = array.values.compactMap { Int(exactly: $0) }
    guard numbers.count == array.values.count, numbers.allSatisfy({ (0...Int(Int32.max)).contains($0) }) else {
      throw call.wrong("the amounts must be integers from 0")
    }
    let (low, high): ([Int], [Int])
    switch array.shape {
    case [rank, 2]:
      low = (0..<rank).map { numbers[2 * $0] }
      high = (0..<rank).map { numbers[2 * $0 + 1] }
    case [], [1]:
      (low, high) = ([Int](repeating: numbers[0], count: rank), [Int](repeating: numbers[0], count: rank))
    case [2], [1, 2]:
      (low, high) = ([Int](repeating: numbers[0], count: rank), [Int](repeating: numbers[1], count: rank))
    default: throw call.wrong("amounts of shape \(array.shape.shapeText) do not fit \(call.type(x).message)")
    }
    let name = (try call.string("mode") ?? "constant").lowercased()
    guard let mode = ["constant": Pad.Mode.constant, "reflect": .reflect, "symmetric": .symmetric, "edge": .edge][name] else {
      throw call.unsupported("mode \(KilnError.quoted(name))")
    }
    let value = try call.double("constant_values") ?? 0
    return [try call.layer.add(Pad(mode, low: low, high: high, value: value), [x], "pad")]
  }

  /// 1 where column − row has the wanted sign, in the last two axes.
  private static func triangle(_ call: FunctionCall, lower: Bool) throws -> [ValueID] {
    let x = try call.tensor(0, "x")
    let k = try call.int("k") ?? 0
    let (rows, columns) = (try call.length(x, -2), try call.length(x, -1))
    guard let count = checkedProduct([rows, columns]), count <= NumberArray.maximumCount else {
      throw call.unsupported("a matrix of \(rows) x \(columns)")
    }
    let flags = (0..<rows).flatMap { row in
      (0..<columns).map { column in lower ? column - row <= k : column - row >= k }
    }
    let mask = call.layer.constant(try Tensor(flags, shape: [rows, columns]), "triangle")
    let zero = try call.layer.scalar(0, call.type(x).dtype)
    return [try call.layer.add(Elementwise(.select), [mask, x, zero], "triangle")]
  }

  /// The diagonal of two axes as a new last axis: the axes flattened, then every (columns + 1)-th element.
  private static func diagonal(_ call: FunctionCall) throws -> ValueID {
    let x = try call.tensor(0, "x")
    let offset = try call.int("offset") ?? 0
    let a = try call.axis(try call.int("axis1") ?? 0, of: x)
    let b = try call.axis(try call.int("axis2") ?? 1, of: x)
    guard a != b else { throw call.wrong("axis1 and axis2 are the same") }
    let (rows, columns) = (try call.length(x, a), try call.length(x, b))
    let others = (0..<call.type(x).rank).filter { $0 != a && $0 != b }
    let moved = try call.layer.transpose(x, others + [a, b])
    let kept = others.map { call.type(x).dims[$0] }
    guard let count = checkedProduct([rows, columns]), min(rows, columns) <= NumberArray.maximumCount,
      (-rows...columns).contains(offset)
    else { throw call.wrong("offset \(offset) does not fit \(call.type(x).message)") }
    let flat = try call.layer.reshape(moved, kept + [Dim(count)])
    let length = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    let start = offset >= 0 ? offset : -offset * columns
    let indices = (0..<length).map { Int64(start + $0 * (columns + 1)) }
    let picks = call.layer.constant(try Tensor(indices, shape: [length]), "diagonal")
    return try call.layer.add(Gather(axis: others.count), [flat, picks], "gather")
  }
}
