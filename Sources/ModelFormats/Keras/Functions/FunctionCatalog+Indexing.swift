import GraphModule
import TensorModule

extension FunctionCatalog {
  /// Functions that pick elements.
  static let indexing: [String: Meaning] = [
    "get_item": { call in
      let x = try call.tensor(0, "tensor", "x")
      guard let key = call.argument(1, "slice_spec", "key") else {
        // x[None]: a key that is null by itself.
        return [try call.layer.expand(x, axis: 0)]
      }
      guard case .constant(let json) = key else { throw call.unsupported("an index that depends on the input") }
      return [try item(call, x, json.arrayValue ?? [json])]
    },
    "slice": { call in
      let x = try call.tensor(0, "inputs", "input_", "input")
      guard let starts = try sizes(call, 1, "start_indices", "begin"), let sizes = try sizes(call, 2, "shape", "size"),
        starts.count == call.type(x).rank, sizes.count == starts.count, starts.allSatisfy({ $0 >= 0 }), sizes.allSatisfy({ $0 >= -1 })
      else { throw call.wrong("start and size must be one integer for each axis of \(call.type(x).message)") }
      let ranges = zip(starts, sizes).map { Slice.Range(start: $0, end: $1 == -1 ? nil : $0 + $1) }
      for (axis, range) in ranges.enumerated() {
        if let end = range.end, let length = call.type(x).dims[axis].fixed, end > length {
          throw call.wrong("ends at \(end) of an axis of length \(length)")
        }
      }
      return [try call.layer.add(Slice(ranges), [x], "slice")]
    },
    "strided_slice": { call in
      let x = try call.tensor(0, "input_", "input")
      guard let begin = try call.ints("begin"), let end = try call.ints("end"), begin.count == end.count,
        begin.count <= call.type(x).rank
      else { throw call.wrong("begin and end must be integers for the leading axes") }
      let steps = try call.ints("strides") ?? [Int](repeating: 1, count: begin.count)
      guard steps.count == begin.count, !steps.contains(0) else { throw call.wrong("strides do not fit") }
      for name in ["ellipsis_mask", "new_axis_mask", "shrink_axis_mask"] {
        if let mask = try call.int(name), mask != 0 { throw call.unsupported("argument '\(name)'") }
      }
      let (first, last) = (try call.int("begin_mask") ?? 0, try call.int("end_mask") ?? 0)
      var ranges = [Slice.Range](repeating: .all, count: call.type(x).rank)
      for axis in begin.indices {
        ranges[axis] = Slice.Range(
          start: first & (1 << axis) != 0 ? nil : begin[axis], end: last & (1 << axis) != 0 ? nil : end[axis],
          step: steps[axis])
      }
      return [try call.layer.add(Slice(ranges), [x], "slice")]
    },
    "take": { call in
      var x = try call.tensor(0, "x")
      let given = try call.int("axis")
      if given == nil { x = try call.layer.reshape(x, [call.type(x).elementCount]) }
      let axis = try call.axis(given ?? 0, of: x)
      let indices = try indices(call, try call.required(1, "indices"), call.type(x).dims[axis])
      return [try call.layer.add(Gather(axis: axis), [x, indices], "gather")]
    },
    "gather": { call in
      let x = try call.tensor(0, "params")
      call.ignore("validate_indices")
      let indices = try indices(call, try call.required(1, "indices"), nil)
      let given = try call.int("batch_dims") ?? 0
      let batch = given < 0 ? given + call.type(indices).rank : given
      let axis = try call.axis(try call.int("axis") ?? batch, of: x)
      return [try call.layer.add(Gather(axis: axis, batchDims: batch), [x, indices], "gather")]
    },
    "take_along_axis": { call in
      let x = try call.tensor(0, "x")
      guard let given = try call.int("axis") else {
        let flat = try call.layer.reshape(x, [call.type(x).elementCount])
        let picks = try indices(call, try call.required(1, "indices"), call.type(flat).dims[0])
        return [try call.layer.add(Gather(axis: 0), [flat, try call.layer.reshape(picks, [call.type(picks).elementCount])], "gather")]
      }
      let axis = try call.axis(given, of: x)
      var picks = try indices(call, try call.required(1, "indices"), call.type(x).dims[axis])
      guard call.type(picks).rank == call.type(x).rank else { throw call.wrong("x and indices differ in rank") }
      let data = try call.axisLast(x, axis)
      picks = try call.axisLast(picks, axis)
      let (dims, pickDims) = (call.type(data).dims, call.type(picks).dims)
      guard dims.dropLast() == pickDims.dropLast() else {
        throw call.unsupported("broadcasting of \(call.type(x).message) and its indices")
      }
      let rank = dims.count
      return [try call.lastTo(try call.layer.add(Gather(axis: rank - 1, batchDims: rank - 1), [data, picks], "gather"), axis)]
    },
    "one_hot": { call in
      let x = try call.tensor(0, "x", "indices")
      guard let depth = try call.int("num_classes", "depth"), depth > 0 else { throw call.wrong("the depth is missing") }
      if try call.bool("sparse") == true { throw call.unsupported("sparse") }
      var dtype = DType.float32
      if let given = try call.json("dtype"), given["class_name"] == nil { dtype = try call.dtype("dtype") ?? dtype }
      let (on, off) = (try call.double("on_value") ?? 1, try call.double("off_value") ?? 0)
      let given = try call.int("axis") ?? -1
      let rank = call.type(x).rank + 1
      let axis = given < 0 ? given + rank : given
      guard (0..<rank).contains(axis) else { throw call.wrong("axis \(given) is out of range") }
      let whole = call.type(x).dtype.isInteger ? x : try call.layer.cast(x, to: .int32)
      let flag = dtype == .bool
      let rows = try call.layer.add(
        OneHot(depth: depth, dtype: flag ? .uint8 : dtype, on: on, off: off), [whole], "one_hot")
      return [try call.lastTo(flag ? try call.layer.truth(rows) : rows, axis)]
    },
  ]

  private static func sizes(_ call: FunctionCall, _ position: Int, _ first: String, _ second: String) throws -> [Int]? {
    guard let found = call.argument(position, first, second) else { return nil }
    guard let json = found.constant else { throw call.unsupported("argument '\(first)' that depends on the input") }
    return try call.integers(json, first)
  }

  /// Indices as integers; negative ones count from the end where the length is given.
  private static func indices(_ call: FunctionCall, _ operand: FunctionOperand, _ length: Dim?) throws -> ValueID {
    switch operand {
    case .numbers(var array):
      guard array.kind == .int64 || array.dtype?.isInteger == true || array.values.isEmpty else {
        throw call.wrong("indices must be integers")
      }
      if array.values.contains(where: { $0 < 0 }), let length {
        guard let count = length.fixed else { throw call.unsupported("a negative index of an axis of unknown length") }
        array.values = array.values.map { $0 < 0 ? $0 + Double(count) : $0 }
      }
      return try call.materialised(.numbers(array), .int64)
    case .value(let value):
      let whole = call.type(value).dtype.isInteger ? value : try call.layer.cast(value, to: .int32)
      guard call.isKeras, let count = length?.fixed, call.type(whole).dtype != .uint8 else { return whole }
      let dtype = call.type(whole).dtype
      let moved = try call.layer.unary(.affine, [1, Double(count)], whole)
      let negative = try call.layer.binary(.less, whole, try call.layer.scalar(0, dtype))
      return try call.layer.add(Elementwise(.select), [negative, moved, whole], "from_end")
    }
  }

  /// x[spec, …]: integers, slices, null for a new axis, an ellipsis.
  private static func item(_ call: FunctionCall, _ x: ValueID, _ spec: [JSON]) throws -> ValueID {
    let type = call.type(x)
    let consuming = spec.count { !$0.isNull && !isEllipsis($0) }
    guard consuming <= type.rank, spec.count(where: isEllipsis) <= 1 else {
      throw call.wrong("\(consuming) indices for \(type.message)")
    }
    var ranges: [Slice.Range] = []
    /// For each axis of the result: the sliced axis, or nil for a new one.
    var kept: [Int?] = []
    func open(_ count: Int) {
      for _ in 0..<max(count, 0) {
        kept.append(ranges.count)
        ranges.append(.all)
      }
    }
    for item in spec {
      if item.isNull {
        kept.append(nil)
      } else if isEllipsis(item) {
        open(type.rank - consuming)
      } else if let index = item.intValue ?? scalar(item) {
        let axis = ranges.count
        if let length = type.dims[axis].fixed, index < -length || index >= length {
          throw call.wrong("index \(index) is out of range for axis \(axis) of \(type.message)")
        }
        ranges.append(Slice.Range(start: index, end: index == -1 ? nil : index + 1))
      } else if let parts = item["config"]?.objectValue ?? item.objectValue, isSlice(item) {
        func bound(_ key: String) throws -> Int? {
          guard let value = parts[key], !value.isNull else { return nil }
          guard let number = value.intValue ?? scalar(value) else {
            throw call.unsupported("a slice whose \(key) depends on the input")
          }
          return number
        }
        let step = try bound("step") ?? 1
        guard step != 0 else { throw call.wrong("a slice with step 0") }
        kept.append(ranges.count)
        ranges.append(Slice.Range(start: try bound("start"), end: try bound("stop"), step: step))
      } else {
        throw call.unsupported("index \(LayerConfig.describe(item))")
      }
    }
    open(type.rank - ranges.count)
    let sliced = ranges.allSatisfy { $0 == .all } ? x : try call.layer.add(Slice(ranges), [x], "slice")
    let dims = call.type(sliced).dims
    guard kept.count <= maximumRank else { throw call.wrong("makes more than \(maximumRank) axes") }
    return try call.layer.reshape(sliced, kept.map { $0.map { dims[$0] } ?? 1 })
  }

  private static func scalar(_ json: JSON) -> Int? {
    guard json["config"]?["value"] != nil, let array = NumberArray(json), array.shape.isEmpty else { return nil }
    return array.values.first.flatMap { Int(exactly: $0) }
  }

  private static func isEllipsis(_ json: JSON) -> Bool {
    json["class_name"]?.stringValue == "__ellipsis__" || json.stringValue == "..."
  }

  private static func isSlice(_ json: JSON) -> Bool {
    json["class_name"]?.stringValue == "__slice__" || (json["class_name"] == nil && json["start"] != nil)
  }
}
