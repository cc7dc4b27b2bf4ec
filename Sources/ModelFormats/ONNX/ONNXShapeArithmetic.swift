import GraphModule
import TensorModule

/// What ONNX graphs compute on shapes, done when the model is imported: with unknown lengths as symbols.
enum ONNXShapeArithmetic: DimArithmetic {
  /// The results of a node whose operands are known; nil when it is not such arithmetic or a result cannot be told.
  static func evaluate(_ call: ONNXCall) throws -> [DimTensor]? {
    switch call.op {
    case "Shape":
      let dims = try call.input(0).type.dims
      func place(_ key: String, _ fallback: Int) throws -> Int {
        let value = try call.int(key, fallback)
        return Swift.min(Swift.max(value < 0 ? value + dims.count : value, 0), dims.count)
      }
      let (start, end) = (try place("start", 0), try place("end", dims.count))
      let part = start < end ? Array(dims[start..<end]) : []
      return [DimTensor(.int64, [part.count], part)]
    case "Size": return [DimTensor(.int64, [], [try call.input(0).type.elementCount])]
    default: break
    }
    guard !call.inputs.isEmpty else { return nil }
    var operands: [DimTensor] = []
    for (index, input) in call.inputs.enumerated() {
      guard case .tensor(let value, let element)? = input, !element.isWidened else { return nil }
      // The end of a slice is often the largest integer there is.
      guard let known = value.known ?? (call.op == "Slice" && index > 0 ? clamped(value) : nil) else { return nil }
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

  private static func clamped(_ value: ImportedValue) -> DimTensor? {
    guard let tensor = value.evaluated, tensor.dtype.isInteger, tensor.count <= DimTensor.maximumCount else { return nil }
    return DimTensor(tensor.dtype, tensor.shape, tensor.integers.map { Dim(Int($0)) })
  }

  private static func apply(_ call: ONNXCall, _ x: [DimTensor]) throws -> [DimTensor]? {
    let first = x[0]
    switch call.op {
    case "Identity": return [first]
    case "Add": return try binary(x) { $0 + $1 }
    case "Sub": return try binary(x) { $0 - $1 }
    case "Mul": return try binary(x) { $0 * $1 }
    case "Neg": return [DimTensor(first.dtype, first.shape, first.elements.map { Dim(0) - $0 })]
    case "Div":
      return try binary(x) { a, b in
        guard let y = b.fixed, y != 0 else { return a == b ? 1 : nil }
        if let value = a.fixed { return Dim(value / y) }
        // Lengths are not negative.
        return isLength(a) ? quotient(a, b) : nil
      }
    case "Mod":
      let truncates = try call.bool("fmod")
      return try binary(x) { a, b in
        guard let q = quotient(a, b), !truncates || isLength(a) || (a.fixed ?? -1) >= 0 else { return nil }
        return a - b * q
      }
    case "Max": return try binary(x) { a, b in extreme(a, b, larger: true) }
    case "Min": return try binary(x) { a, b in extreme(a, b, larger: false) }
    case "Equal": return try compare(x) { $0 == 0 }
    case "Less": return try compare(x) { $0 < 0 }
    case "LessOrEqual": return try compare(x) { $0 <= 0 }
    case "Greater": return try compare(x) { $0 > 0 }
    case "GreaterOrEqual": return try compare(x) { $0 >= 0 }
    case "And": return try binary(x) { a, b in a.fixed.flatMap { p in b.fixed.map { Dim(p != 0 && $0 != 0 ? 1 : 0) } } }
    case "Or": return try binary(x) { a, b in a.fixed.flatMap { p in b.fixed.map { Dim(p != 0 || $0 != 0 ? 1 : 0) } } }
    case "Not":
      guard let fixed = first.fixed else { return nil }
      return [DimTensor(.bool, first.shape, fixed.map { Dim($0 == 0 ? 1 : 0) })]
    case "Where":
      guard x.count == 3, let condition = first.fixed else { return nil }
      if condition.count == 1, x[1].shape == x[2].shape { return [x[condition[0] != 0 ? 1 : 2]] }
      guard first.shape == x[1].shape || x[1].elements.count == 1, first.shape == x[2].shape || x[2].elements.count == 1 else { return nil }
      let picked = condition.enumerated().map { index, holds in
        let source = x[holds != 0 ? 1 : 2].elements
        return source.count == 1 ? source[0] : source[index]
      }
      return [DimTensor(x[1].dtype, first.shape, picked)]
    case "Cast":
      guard let dtype = ONNXDataType(try call.int("to")).dtype, dtype.isInteger || dtype == first.dtype, !ONNXDataType(try call.int("to")).isWidened
      else { return nil }
      return [DimTensor(dtype, first.shape, first.elements)]
    case "Concat":
      guard x.allSatisfy({ $0.shape.count == 1 }) else { return nil }
      let all = x.flatMap(\.elements)
      return [DimTensor(first.dtype, [all.count], all)]
    case "Gather":
      guard x.count == 2, first.shape.count == 1, let indices = x[1].fixed else { return nil }
      let count = first.elements.count
      let places = indices.map { $0 < 0 ? $0 + count : $0 }
      guard places.allSatisfy(first.elements.indices.contains) else { throw call.wrong("an index is out of range") }
      return [DimTensor(first.dtype, x[1].shape, places.map { first.elements[$0] })]
    case "Slice":
      guard first.shape.count == 1 else { return nil }
      let numbers = try bounds(call, x)
      guard let numbers else { return nil }
      let (start, count) = Slice.Range(start: numbers.start, end: numbers.end, step: numbers.step).resolved(first.elements.count)
      return [DimTensor(first.dtype, [count], (0..<count).map { first.elements[start + $0 * numbers.step] })]
    case "Squeeze", "Unsqueeze":
      let axes = x.count > 1 ? x[1].fixed : call.has("axes") ? try call.ints("axes") : nil
      if call.op == "Unsqueeze", first.shape.isEmpty, axes == [0] || axes == [-1] { return [DimTensor(first.dtype, [1], first.elements)] }
      if call.op == "Squeeze", first.shape == [1], axes == nil || axes == [0] || axes == [-1] { return [DimTensor(first.dtype, [], first.elements)] }
      return nil
    case "Reshape":
      guard x.count == 2, var dims = x[1].fixed, !(try call.bool("allowzero")), !dims.contains(0) else { return nil }
      if let open = dims.firstIndex(of: -1) {
        dims[open] = 1
        guard let rest = checkedProduct(dims), rest > 0 else { return nil }
        dims[open] = first.elements.count / rest
      }
      guard dims.count <= maximumRank, checkedProduct(dims) == first.elements.count else { return nil }
      return [DimTensor(first.dtype, dims, first.elements)]
    case "ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin":
      guard first.shape.count == 1, x.count == 1 || x[1].fixed == [0] || x[1].fixed == [-1] else { return nil }
      if call.has("axes") { guard [[0], [-1]].contains(try call.ints("axes")) else { return nil } }
      if x.count == 1, !call.has("axes"), try call.bool("noop_with_empty_axes") { return nil }
      var value: Dim
      switch call.op {
      case "ReduceProd": value = first.elements.reduce(1, *)
      case "ReduceSum": value = first.elements.reduce(0, +)
      default:
        guard let start = first.elements.first else { return nil }
        value = start
        for element in first.elements.dropFirst() {
          guard let next = extreme(value, element, larger: call.op == "ReduceMax") else { return nil }
          value = next
        }
      }
      return [DimTensor(first.dtype, try call.bool("keepdims", true) ? [1] : [], [value])]
    case "ConstantOfShape":
      guard let dims = first.fixed, dims.allSatisfy({ $0 >= 0 }), dims.count <= maximumRank, let count = checkedProduct(dims), count <= DimTensor.maximumCount,
        case .tensor(let tensor)? = call.attribute("value"), let value = DimTensor(try tensor.load()), value.elements.count == 1
      else { return nil }
      return [DimTensor(value.dtype, dims, [Dim](repeating: value.elements[0], count: count))]
    case "Expand":
      guard x.count == 2, let dims = x[1].fixed, dims.count <= 1, first.elements.count == 1, let count = checkedProduct(dims), count >= 0, count <= DimTensor.maximumCount
      else { return nil }
      let length = Swift.max(count, 1)
      return dims.isEmpty ? [first] : [DimTensor(first.dtype, [length], [Dim](repeating: first.elements[0], count: length))]
    case "Range":
      guard x.count == 3, let start = first.fixed?.first, let limit = x[1].fixed?.first, let delta = x[2].fixed?.first, delta != 0,
        (limit - start) / delta <= DimTensor.maximumCount
      else { return nil }
      let values = Array(stride(from: start, to: limit, by: delta))
      return [DimTensor(first.dtype, [values.count], values.map { Dim($0) })]
    default: return nil
    }
  }

  /// The one range of a slice of a vector.
  private static func bounds(_ call: ONNXCall, _ x: [DimTensor]) throws -> (start: Int?, end: Int?, step: Int)? {
    if call.has("starts") {
      let (starts, ends) = (try call.ints("starts"), try call.ints("ends"))
      return starts.count == 1 && ends.count == 1 ? (starts[0], ends[0], 1) : nil
    }
    guard x.count >= 3, let start = x[1].fixed, let end = x[2].fixed, start.count == 1, end.count == 1 else { return nil }
    let step = x.count > 4 ? x[4].fixed?.first : 1
    guard let step, step != 0, x.count < 4 || x[3].fixed == [0] || x[3].fixed == [-1] else { return nil }
    return (start[0], end[0], step)
  }
}
