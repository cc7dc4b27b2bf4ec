import GraphModule
import TensorModule

/// `TensorFlowOpLayer` of tf.keras 1.13 to 2.3: one TensorFlow operation, as its NodeDef, between layers. Its meaning is a
/// function of `FunctionCatalog`; inputs that were constants are kept beside the NodeDef, by their position.
struct TensorFlowOp: KerasLayerReader {
  let type: String
  let attributes: [String: JSON]
  let constants: [Int: JSON]
  let inputCount: Int

  /// Attributes that name dtypes and counts, which the operands tell, or that hint to the device.
  private static let silent: Set<String> = [
    "T", "N", "Tidx", "Tdim", "Tshape", "Tperm", "Tmultiples", "Tpaddings", "Index", "Tindices", "Tparams", "Taxis", "Tlen",
    "SrcT", "Truncate", "TI", "Tsplits", "num_split", "incompatible_shape_error", "use_cudnn_on_gpu", "explicit_paddings",
    "_class", "_output_shapes", "Tout", "validate_indices", "num", "Tnumsegments", "Tshift", "Tblock_shape", "Tcrops",
  ]

  init?(_ config: LayerConfig) {
    func problem(_ text: String) { config.malformed("node_def \(text)") }
    var node = config.json("node_def")
    if let text = node?.stringValue { node = try? JSON.parse(text) }
    guard let type = node?["op"]?.stringValue else {
      problem("is no operation in JSON")
      return nil
    }
    self.type = type
    inputCount = node?["input"]?.arrayValue?.count { $0.stringValue?.hasPrefix("^") == false } ?? 0
    attributes = Dictionary((node?["attr"]?.objectValue?.entries ?? []).map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    var constants: [Int: JSON] = [:]
    for (key, value) in config.json("constants")?.objectValue?.entries ?? [] {
      guard let position = Int(key), (0..<max(inputCount, 0)).contains(position) else {
        problem("has a constant at \(KilnError.quoted(key)) of \(inputCount) inputs")
        return nil
      }
      constants[position] = value
    }
    self.constants = constants
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    // Every input in its place: tensors and constants.
    var tensors = call.arguments.flatMap { argument -> [KerasTree<KerasTensor>] in
      if case .list(let items) = argument { items } else { [argument] }
    }
    var inputs: [KerasTree<KerasTensor>] = []
    for position in 0..<inputCount {
      if let constant = constants[position] {
        inputs.append(.constant(constant))
      } else if tensors.isEmpty {
        throw KilnError(.badInput, "\(type): takes \(inputCount) inputs, and is called with fewer")
      } else {
        inputs.append(tensors.removeFirst())
      }
    }
    guard tensors.isEmpty else { throw KilnError(.badInput, "\(type): takes \(inputCount) inputs, and is called with more") }
    var use = TensorFlowOpUse(type: type, inputs: inputs, attributes: attributes)
    let results = try use.build(call)
    for name in attributes.keys.sorted() where !use.asked.contains(name) && !TensorFlowOp.silent.contains(name) {
      throw KilnError(.unsupportedModel, "\(type): attribute \(KilnError.quoted(name)) is not supported")
    }
    return results.map { KerasTensor($0) }
  }
}

/// One operation with its inputs and attributes while the function that it stands for is built.
struct TensorFlowOpUse {
  typealias Argument = KerasTree<KerasTensor>

  let type: String
  let inputs: [Argument]
  let attributes: [String: JSON]
  /// The attributes that the meaning asked for.
  private(set) var asked: Set<String> = []

  init(type: String, inputs: [Argument], attributes: [String: JSON]) {
    self.type = type
    self.inputs = inputs
    self.attributes = attributes
  }

  /// Adds the nodes.
  mutating func build(_ call: LayerCall) throws -> [ValueID] {
    if let form = TensorFlowOpCatalog.forms[type] { return try run(call, form) }
    switch type {
    case "StridedSlice": return try stridedSlice(call)
    case "ResizeBilinear", "ResizeNearestNeighbor": return try resize(call)
    default:
      throw KilnError(.unsupportedModel, "TensorFlow operation \(KilnError.quoted(type)) is not supported")
    }
  }

  // MARK: Attributes

  mutating func attribute(_ name: String, _ field: String) -> JSON? {
    asked.insert(name)
    return attributes[name]?[field]
  }

  /// An integer, which JSON of protobuf writes as text.
  mutating func int(_ name: String) -> Int? {
    let value = attribute(name, "i")
    return value?.intValue ?? value?.stringValue.flatMap { Int($0) }
  }

  private static func integers(_ list: JSON?) -> [JSON] {
    (list?["i"]?.arrayValue ?? []).compactMap { item in (item.intValue ?? item.stringValue.flatMap { Int($0) }).map { .int($0) } }
  }

  /// An attribute as a constant argument: flag, number, text, dtype or list of integers.
  mutating func constant(_ name: String) -> JSON? {
    asked.insert(name)
    guard let value = attributes[name]?.objectValue else { return nil }
    if let flag = value["b"] { return flag }
    if let number = value["f"] { return number }
    if value["i"] != nil { return int(name).map { .int($0) } }
    if let text = value["s"]?.stringValue {
      return Base64.decode(text).flatMap { String(validating: $0, as: UTF8.self) }.map { .string($0) }
    }
    if let list = value["list"] { return .array(TensorFlowOpUse.integers(list)) }
    if let dtype = value["type"]?.stringValue { return TensorFlowOpCatalog.dtypes[dtype].map { .string($0) } }
    return nil
  }

  // MARK: Functions

  func invoke(
    _ call: LayerCall, _ function: String, _ positional: [Argument], _ named: [(key: String, value: Argument)]
  ) throws -> [ValueID] {
    guard let meaning = FunctionCatalog.meanings[function] else {
      throw KilnError(.unsupportedModel, "TensorFlow operation \(KilnError.quoted(type)) is not supported")
    }
    let use = FunctionCall(call, .tensorFlow, type, positional: positional, named: named)
    let results = try meaning(use)
    try use.finish()
    return results
  }

  private mutating func run(_ call: LayerCall, _ form: TensorFlowOpCatalog.Form) throws -> [ValueID] {
    var positional: [Argument] = []
    var named: [(key: String, value: Argument)] = []
    if form.isList {
      // A list of tensors, and then single inputs.
      let tail = form.inputs.compactMap { $0 }
      guard inputs.count > tail.count else { throw KilnError(.badInput, "\(type): has \(inputs.count) inputs") }
      positional = [.list(Array(inputs.dropLast(tail.count)))]
      named = zip(tail, inputs.suffix(tail.count)).map { (key: $0, value: $1) }
    } else {
      guard inputs.count <= max(form.inputs.count, 1) else { throw KilnError(.badInput, "\(type): has \(inputs.count) inputs") }
      for (position, input) in inputs.enumerated() {
        if form.inputs.indices.contains(position), let name = form.inputs[position] { named.append((name, input)) } else { positional.append(input) }
      }
    }
    for (attribute, name) in form.attributes {
      if let value = constant(attribute) { named.append((name, .constant(value))) }
    }
    if type == "Select", case .leaf(let condition)? = positional.first, positional.count == 3,
      case .leaf(let first) = positional[1], call.type(condition.value).rank == 1, call.type(first.value).rank > 1
    {
      // The condition picks rows here.
      var dims = call.type(condition.value).dims
      dims += [Dim](repeating: 1, count: call.type(first.value).rank - 1)
      positional[0] = .leaf(KerasTensor(try call.reshape(condition.value, dims)))
    }
    return try invoke(call, form.function, positional, named)
  }

  /// x[begin:end:strides], with masks by bit for what each place means.
  private mutating func stridedSlice(_ call: LayerCall) throws -> [ValueID] {
    guard inputs.count == 4 else { throw KilnError(.badInput, "\(type): has \(inputs.count) inputs") }
    let bounds = try inputs.dropFirst().map { input -> [JSON] in
      guard let numbers = input.constant?.arrayValue, numbers.allSatisfy({ $0.intValue != nil }), numbers.count <= 32 else {
        throw KilnError(.unsupportedModel, "\(type): bounds that depend on the input are not supported")
      }
      return numbers
    }
    guard Set(bounds.map(\.count)).count == 1 else { throw KilnError(.badInput, "\(type): begin, end and strides differ in number") }
    let masks = ["begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"].map { int($0) ?? 0 }
    let spec = bounds[0].indices.map { place -> JSON in
      func has(_ mask: Int) -> Bool { masks[mask] >> place & 1 == 1 }
      if has(2) { return .string("...") }
      if has(3) { return .null }
      if has(4) { return bounds[0][place] }
      return .object(
        JSONObject([
          ("start", has(0) ? .null : bounds[0][place]), ("stop", has(1) ? .null : bounds[1][place]), ("step", bounds[2][place]),
        ]))
    }
    return try invoke(call, "get_item", [inputs[0]], [("slice_spec", .constant(.array(spec)))])
  }

  /// TensorFlow 1's resizing: corners for samples unless `half_pixel_centers`.
  private mutating func resize(_ call: LayerCall) throws -> [ValueID] {
    guard inputs.count == 2, case .leaf(let images) = inputs[0], call.type(images.value).rank == 4,
      let size = inputs[1].constant?.arrayValue?.compactMap(\.intValue), size.count == 2, size.allSatisfy({ $0 > 0 })
    else { throw KilnError(.unsupportedModel, "\(type): a size that depends on the input is not supported") }
    if attribute("align_corners", "b")?.boolValue == true {
      throw KilnError(.unsupportedModel, "\(type): align_corners is not supported")
    }
    let isHalf = attribute("half_pixel_centers", "b")?.boolValue == true
    let isBilinear = type == "ResizeBilinear"
    let x = isBilinear ? try call.cast(images.value, to: call.dtype) : images.value
    let op = Resize(
      isBilinear ? .bilinear : .nearest, coordinates: isHalf ? .halfPixel : .asymmetric, dims: size.map { Dim($0) })
    return [try call.add(op, [x], "resize")]
  }
}
