import GraphModule
import TensorModule

/// What TensorFlow graphs compute on shapes, done when the model is imported: with unknown lengths as symbols.
enum TFShapeArithmetic: DimArithmetic {
  /// The results of a node whose operands are known; nil when it is not such arithmetic or a result cannot be told.
  static func evaluate(_ call: TFCall) throws -> [DimTensor]? {
    switch call.op {
    case "Shape":
      return [try shape(call, try call.input(0), try call.dtype("out_type", .int32))]
    case "ShapeN":
      let dtype = try call.dtype("out_type", .int32)
      return try call.inputs.map { try shape(call, $0, dtype) }
    case "Size":
      return [DimTensor(try call.dtype("out_type", .int32), [], [try tensorType(call, try call.input(0)).elementCount])]
    case "Rank": return [DimTensor(.int32, [], [Dim(try tensorType(call, try call.input(0)).rank)])]
    default: break
    }
    guard !call.inputs.isEmpty, TFNumbers.unsignedBits(call) == nil else { return nil }
    var operands: [DimTensor] = []
    for input in call.inputs {
      guard case .tensor = input.kind, let known = input.known else { return nil }
      operands.append(known)
    }
    guard let results = try apply(call, operands) else { return nil }
    // Numbers that wrap in their dtype are left to the op itself.
    let fits = results.allSatisfy { result in
      guard let range = result.dtype.integerRange, result.elements.count <= DimTensor.maximumCount else { return false }
      return result.elements.allSatisfy { $0.fixed.map { range.contains(Int64($0)) && $0.magnitude < 1 << 50 } ?? true }
        && checkedProduct(result.shape) == result.elements.count
    }
    return fits ? results : nil
  }

  /// Ops whose results are exact expressions over any integers, not only over lengths.
  private static let movements: Set<String> = [
    "Pack", "ConcatV2", "Concat", "StridedSlice", "Slice", "Gather", "GatherV2", "Reshape", "Squeeze", "ExpandDims", "Cast", "Tile",
    "ReverseV2", "Unpack", "Add", "AddV2", "Sub", "Mul", "Neg", "Prod", "Sum",
  ]

  /// Notes for small integer results of a node which numbers they are made of, so that a size in a computed shape stays
  /// known, or the same as elsewhere.
  static func trace(_ call: TFCall, _ results: [TFValue]) {
    guard movements.contains(call.op), results.allSatisfy({ $0.numberCount != nil }) else { return }
    var operands: [DimTensor] = []
    for input in call.inputs {
      guard input.numberCount != nil, let numbers = input.numbers else { return }
      operands.append(DimTensor(input.type.dtype, input.type.dims.compactMap(\.fixed), numbers))
    }
    guard let found = try? apply(call, operands), found.count == results.count else { return }
    for (result, elements) in zip(results, found) where result.known == nil && elements.elements.count == result.numberCount {
      result.traced = elements
    }
  }

  private static func tensorType(_ call: TFCall, _ value: TFValue) throws -> TensorType {
    if value.parts != nil { return value.type }
    guard case .tensor = value.kind else { throw call.wrong("takes a tensor") }
    return value.type
  }

  /// The elements that a slice with known places picks; nil when a place is not a number.
  private static func sliced(_ call: TFCall, _ x: DimTensor, _ spec: TFStridedSlice) throws -> DimTensor? {
    guard spec.parts.count == x.shape.count else { return nil }
    var places = [0]
    var lengths: [Int] = []
    for (part, length) in zip(spec.parts, x.shape) {
      let picked: [Int]
      switch part {
      case .index(let index):
        let position = index < 0 ? index + length : index
        guard (0..<length).contains(position) else { throw call.wrong("index \(index) is out of range") }
        picked = [position]
      case .range(let range):
        let (start, count) = range.resolved(length)
        picked = (0..<count).map { start + $0 * range.step }
      default: return nil
      }
      lengths.append(picked.count)
      places = places.flatMap { place in picked.map { place * length + $0 } }
    }
    return DimTensor(x.dtype, spec.axes.map { $0.map { lengths[$0] } ?? 1 }, places.map { x.elements[$0] })
  }

  private static func shape(_ call: TFCall, _ value: TFValue, _ dtype: DType) throws -> DimTensor {
    let type = try tensorType(call, value)
    return DimTensor(dtype, [type.rank], type.dims)
  }

  private static func apply(_ call: TFCall, _ x: [DimTensor]) throws -> [DimTensor]? {
    let first = x[0]
    switch call.op {
    case "Add", "AddV2": return try binary(x) { $0 + $1 }
    case "Sub": return try binary(x) { $0 - $1 }
    case "Mul": return try binary(x) { $0 * $1 }
    case "Neg": return [DimTensor(first.dtype, first.shape, first.elements.map { Dim(0) - $0 })]
    case "FloorDiv": return try binary(x, quotient)
    case "TruncateDiv", "Div":
      return try binary(x) { a, b in
        guard let y = b.fixed, y != 0 else { return nil }
        if let value = a.fixed { return Dim(value / y) }
        // Lengths are not negative.
        return isLength(a) ? quotient(a, b) : nil
      }
    case "FloorMod", "Mod":
      return try binary(x) { a, b in
        guard let q = quotient(a, b), call.op == "FloorMod" || isLength(a) || (a.fixed ?? -1) >= 0 else { return nil }
        return a - b * q
      }
    case "Maximum": return try binary(x) { a, b in extreme(a, b, larger: true) }
    case "Minimum": return try binary(x) { a, b in extreme(a, b, larger: false) }
    case "Equal": return try compare(x) { $0 == 0 }
    case "NotEqual": return try compare(x) { $0 != 0 }
    case "Less": return try compare(x) { $0 < 0 }
    case "LessEqual": return try compare(x) { $0 <= 0 }
    case "Greater": return try compare(x) { $0 > 0 }
    case "GreaterEqual": return try compare(x) { $0 >= 0 }
    case "LogicalAnd": return try binary(x) { a, b in a.fixed.flatMap { p in b.fixed.map { Dim(p != 0 && $0 != 0 ? 1 : 0) } } }
    case "LogicalOr": return try binary(x) { a, b in a.fixed.flatMap { p in b.fixed.map { Dim(p != 0 || $0 != 0 ? 1 : 0) } } }
    case "LogicalNot":
      guard let fixed = first.fixed else { return nil }
      return [DimTensor(.bool, first.shape, fixed.map { Dim($0 == 0 ? 1 : 0) })]
    case "Select", "SelectV2":
      guard x.count == 3, let condition = first.fixed, condition.count == 1, x[1].shape == x[2].shape else { return nil }
      return [x[condition[0] != 0 ? 1 : 2]]
    case "Cast":
      let dtype = try call.dtype("DstT", .int32)
      guard dtype.isInteger || dtype == first.dtype else { return nil }
      return [DimTensor(dtype, first.shape, first.elements)]
    case "Pack":
      let rank = first.shape.count + 1
      guard try call.axis(try call.int("axis", 0), rank) == 0, x.allSatisfy({ $0.shape == first.shape }) else { return nil }
      return [DimTensor(first.dtype, [x.count] + first.shape, x.flatMap(\.elements))]
    case "Unpack":
      guard first.shape.count == 1, try call.axis(try call.int("axis", 0), 1) == 0 else { return nil }
      return first.elements.map { DimTensor(first.dtype, [], [$0]) }
    case "ConcatV2", "Concat":
      let axis = call.op == "Concat" ? first : x[x.count - 1]
      let parts = call.op == "Concat" ? Array(x.dropFirst()) : Array(x.dropLast())
      guard parts.allSatisfy({ $0.shape.count == 1 }), let place = axis.fixed, place == [0] || place == [-1], let dtype = parts.first?.dtype
      else { return nil }
      let all = parts.flatMap(\.elements)
      return [DimTensor(dtype, [all.count], all)]
    case "StridedSlice":
      guard x.count == 4, !first.shape.isEmpty, let strides = x[3].fixed else { return nil }
      let spec = try TFStridedSlice(call, begin: x[1].elements, end: x[2].elements, strides: strides, dims: first.shape.map { Dim($0) })
      return try sliced(call, first, spec).map { [$0] }
    case "Slice":
      guard x.count == 3, first.shape.count == 1, let begin = x[1].fixed?.first, let size = x[2].fixed?.first else { return nil }
      let end = size == -1 ? first.elements.count : begin + size
      guard begin >= 0, end >= begin, end <= first.elements.count else { throw call.wrong("the slice leads out of \(first.elements.count) elements") }
      return [DimTensor(first.dtype, [end - begin], Array(first.elements[begin..<end]))]
    case "SplitV":
      guard x.count == 3, first.shape.count == 1, var sizes = x[1].fixed, x[2].fixed == [0] || x[2].fixed == [-1] else { return nil }
      if let open = sizes.firstIndex(of: -1) { sizes[open] = first.elements.count - (sizes.reduce(0, +) + 1) }
      guard sizes.allSatisfy({ (0...first.elements.count).contains($0) }), sizes.reduce(0, +) == first.elements.count else { return nil }
      var start = 0
      return sizes.map { size in
        defer { start += size }
        return DimTensor(first.dtype, [size], Array(first.elements[start..<start + size]))
      }
    case "Split":
      guard x.count == 2, first.fixed == [0] || first.fixed == [-1], x[1].shape.count == 1 else { return nil }
      let count = try call.int("num_split")
      guard count >= 1, x[1].elements.count % count == 0 else { return nil }
      let size = x[1].elements.count / count
      return (0..<count).map { DimTensor(x[1].dtype, [size], Array(x[1].elements[$0 * size..<($0 + 1) * size])) }
    case "Gather", "GatherV2":
      guard first.shape.count == 1, let indices = x[1].fixed, x.count < 3 || x[2].fixed == [0] else { return nil }
      guard indices.allSatisfy(first.elements.indices.contains) else { throw call.wrong("an index is out of range") }
      return [DimTensor(first.dtype, x[1].shape, indices.map { first.elements[$0] })]
    case "Reshape":
      guard x.count == 2, var dims = x[1].fixed else { return nil }
      if let open = dims.firstIndex(of: -1) {
        dims[open] = 1
        guard let rest = checkedProduct(dims), rest > 0 else { return nil }
        dims[open] = first.elements.count / rest
      }
      guard checkedProduct(dims) == first.elements.count else { return nil }
      return [DimTensor(first.dtype, dims, first.elements)]
    case "Squeeze", "ExpandDims":
      if call.op == "ExpandDims", first.shape.isEmpty { return [DimTensor(first.dtype, [1], first.elements)] }
      if call.op == "Squeeze", first.shape == [1] { return [DimTensor(first.dtype, [], first.elements)] }
      return nil
    case "Prod", "Sum", "Max", "Min":
      guard first.shape.count <= 1, x.count == 2, x[1].fixed.map({ $0 == [0] || $0 == [-1] || ($0.isEmpty && first.shape.isEmpty) }) == true
      else { return nil }
      var value: Dim
      switch call.op {
      case "Prod": value = first.elements.reduce(1, *)
      case "Sum": value = first.elements.reduce(0, +)
      default:
        guard let start = first.elements.first else { return nil }
        value = start
        for element in first.elements.dropFirst() {
          guard let next = extreme(value, element, larger: call.op == "Max") else { return nil }
          value = next
        }
      }
      return [DimTensor(first.dtype, try call.bool("keep_dims") ? [1] : [], [value])]
    case "Fill":
      guard x.count == 2, let dims = first.fixed, dims.count <= 1, let count = checkedProduct(dims), count <= DimTensor.maximumCount,
        let value = x[1].elements.first
      else { return nil }
      return [DimTensor(x[1].dtype, dims, [Dim](repeating: value, count: count))]
    case "ZerosLike", "OnesLike":
      return [DimTensor(first.dtype, first.shape, first.elements.map { _ in call.op == "OnesLike" ? 1 : 0 })]
    case "Range":
      guard x.count == 3, let start = first.fixed?.first, let limit = x[1].fixed?.first, let delta = x[2].fixed?.first, delta != 0
      else { return nil }
      guard (limit - start) / delta <= DimTensor.maximumCount else { return nil }
      let values = Array(stride(from: start, to: limit, by: delta))
      return [DimTensor(first.dtype, [values.count], values.map { Dim($0) })]
    case "Tile":
      guard first.shape.count == 1, let times = x[1].fixed?.first, times >= 0, first.elements.count * times <= DimTensor.maximumCount else { return nil }
      let all = (0..<times).flatMap { _ in first.elements }
      return [DimTensor(first.dtype, [all.count], all)]
    case "ReverseV2":
      guard first.shape.count == 1, x[1].fixed?.count == 1 else { return nil }
      return [DimTensor(first.dtype, first.shape, first.elements.reversed())]
    case "ConcatOffset":
      guard x.count >= 2, let axis = first.fixed?.first else { return nil }
      var sum = Dim(0)
      return try x.dropFirst().map { shape in
        guard shape.elements.indices.contains(axis) else { throw call.wrong("axis \(axis) is out of range") }
        defer { sum = sum + shape.elements[axis] }
        return DimTensor(shape.dtype, shape.shape, shape.elements.indices.map { $0 == axis ? sum : 0 })
      }
    case "BroadcastArgs":
      let rank = Swift.max(x[0].elements.count, x[1].elements.count)
      func padded(_ dims: [Dim]) -> [Dim] { [Dim](repeating: 1, count: rank - dims.count) + dims }
      let dims = try Broadcast.dims(padded(x[0].elements), padded(x[1].elements), "BroadcastArgs")
      return [DimTensor(first.dtype, [rank], dims)]
    default: return nil
    }
  }
}
