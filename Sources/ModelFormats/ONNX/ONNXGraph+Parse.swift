import CGraphSchemas
import TensorModule

/// What parsing of one file has in common: the file, where outside data may be, and how much was read.
final class ONNXParsing {
  let file: MappedFile
  let external: ExternalData
  private var nodes = 0

  init(_ file: MappedFile, _ external: ExternalData) {
    self.file = file
    self.external = external
  }

  func count(_ more: Int) throws {
    nodes += more
    guard nodes <= ONNXGraph.maximumNodes else {
      throw KilnError(.badInput, "has more than \(ONNXGraph.maximumNodes) nodes")
    }
  }
}

extension ONNXAttribute {
  init(_ proto: Onnx__AttributeProto, _ parsing: ONNXParsing) throws {
    let reference = try Repeated.text(proto.ref_attr_name)
    if !reference.isEmpty {
      self = .reference(reference)
      return
    }
    var kind = Int(proto.type)
    if kind == 0 {
      // Files of the first versions say it by the field alone.
      kind =
        proto.n_ints > 0 ? 7 : proto.n_floats > 0 ? 6 : proto.n_strings > 0 ? 8 : proto.t != nil ? 4 : proto.g != nil ? 5 : proto.s.len > 0
        ? 3 : proto.f != 0 ? 1 : 2
    }
    switch kind {
    case 1: self = .float(proto.f)
    case 2: self = .int(Int(proto.i))
    case 3: self = .bytes(Repeated.bytes(proto.s))
    case 4:
      guard let tensor = proto.t else { throw KilnError(.badInput, "a tensor is missing") }
      self = .tensor(try ONNXTensor(tensor.pointee, parsing))
    case 5:
      guard let graph = proto.g else { throw KilnError(.badInput, "a graph is missing") }
      self = .graph(try ONNXGraph(graph.pointee, parsing))
    case 6: self = .floats(Array(Repeated.values(proto.floats, proto.n_floats)))
    case 7: self = .ints(Repeated.values(proto.ints, proto.n_ints).map { Int($0) })
    case 8: self = .strings(Repeated.values(proto.strings, proto.n_strings).map { Repeated.bytes($0) })
    case 9: self = .tensors(try Repeated.messages(proto.tensors, proto.n_tensors).map { try ONNXTensor($0.pointee, parsing) })
    case 11:
      guard let sparse = proto.sparse_tensor else { throw KilnError(.badInput, "a sparse tensor is missing") }
      self = .sparse(try ONNXSparseTensor(sparse.pointee, parsing))
    case 10: self = .other("a list of graphs")
    default: self = .other("of the kind \(kind)")
    }
  }
}

extension ONNXType {
  init(_ proto: Onnx__TypeProto) throws {
    switch proto.value_case {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
      guard let tensor = proto.tensor_type?.pointee else {
        self = .unknown
        return
      }
      let dims = try tensor.shape.map { shape in
        try Repeated.messages(shape.pointee.dim, shape.pointee.n_dim).map { dim in
          switch dim.pointee.value_case {
          case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE:
            let length = dim.pointee.dim_value
            guard length >= -1, length <= 1 << 48 else { throw KilnError(.badInput, "a shape has the impossible length \(length)") }
            return length == -1 ? Dim.unknown : .fixed(Int(length))
          case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM:
            let name = try Repeated.text(dim.pointee.dim_param)
            guard name.utf8.count <= 1024 else { throw KilnError(.badInput, "the name of a dim has \(name.utf8.count) bytes") }
            return name.isEmpty ? .unknown : .named(name)
          default: return .unknown
          }
        }
      }
      guard (dims?.count ?? 0) <= 64 else { throw KilnError(.badInput, "a shape has \(dims?.count ?? 0) dims") }
      self = .tensor(ONNXDataType(Int(tensor.elem_type)), dims)
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE: self = .sequence
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE: self = .optional
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE: self = .map
    case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE: self = .sparse
    default: self = .unknown
    }
  }
}

extension ONNXValueInfo {
  init(_ proto: Onnx__ValueInfoProto) throws {
    name = try Repeated.text(proto.name)
    do { type = try proto.type.map { try ONNXType($0.pointee) } ?? .unknown } catch let error as KilnError {
      throw KilnError(error.code, "value \(KilnError.quoted(name)): \(error.message)")
    }
  }
}

extension ONNXNode {
  init(_ proto: Onnx__NodeProto, _ parsing: ONNXParsing) throws {
    name = try Repeated.text(proto.name)
    op = try Repeated.text(proto.op_type)
    domain = ONNXModel.domain(try Repeated.text(proto.domain))
    overload = try Repeated.text(proto.overload)
    inputs = try Repeated.texts(proto.input, proto.n_input)
    outputs = try Repeated.texts(proto.output, proto.n_output)
    attributes = [:]
    captures = []
    for name in [name, op, domain, overload] + inputs + outputs where name.utf8.count > 1024 {
      throw KilnError(.badInput, "a name has \(name.utf8.count) bytes; at most 1024 are allowed")
    }
    var captured: Set<String> = []
    do {
      for attribute in Repeated.messages(proto.attribute, proto.n_attribute) {
        let key = try Repeated.text(attribute.pointee.name)
        let value: ONNXAttribute
        do { value = try ONNXAttribute(attribute.pointee, parsing) } catch let error as KilnError {
          throw KilnError(error.code, "attribute \(KilnError.quoted(key)): \(error.message)")
        }
        if case .graph(let graph) = value { captured.formUnion(graph.captures) }
        guard attributes.updateValue(value, forKey: key) == nil else {
          throw KilnError(.badInput, "attribute \(KilnError.quoted(key)) appears twice")
        }
      }
    } catch let error as KilnError {
      throw KilnError(error.code, "node \(KilnError.quoted(title)) (\(KilnError.escaped(op))): \(error.message)")
    }
    captures = captured.sorted()
  }
}

extension ONNXGraph {
  init(_ proto: Onnx__GraphProto, _ parsing: ONNXParsing) throws {
    try parsing.count(proto.n_node)
    name = try Repeated.text(proto.name)
    nodes = try Repeated.messages(proto.node, proto.n_node).map { try ONNXNode($0.pointee, parsing) }
    inputs = try Repeated.messages(proto.input, proto.n_input).map { try ONNXValueInfo($0.pointee) }
    outputs = try Repeated.messages(proto.output, proto.n_output).map { try ONNXValueInfo($0.pointee) }
    types = [:]
    for info in try Repeated.messages(proto.value_info, proto.n_value_info).map({ try ONNXValueInfo($0.pointee) }) {
      types[info.name] = info.type
    }
    initializers = [:]
    sparseInitializers = [:]
    for proto in Repeated.messages(proto.initializer, proto.n_initializer) {
      let name = try Repeated.text(proto.pointee.name)
      let tensor = try ONNXTensor(proto.pointee, parsing)
      guard initializers.updateValue(tensor, forKey: name) == nil else {
        throw KilnError(.badInput, "two initializers have the name \(KilnError.quoted(name))")
      }
    }
    for proto in Repeated.messages(proto.sparse_initializer, proto.n_sparse_initializer) {
      guard let values = proto.pointee.values else { throw KilnError(.badInput, "a sparse initializer has no values") }
      let name = try Repeated.text(values.pointee.name)
      guard initializers[name] == nil, sparseInitializers.updateValue(try ONNXSparseTensor(proto.pointee, parsing), forKey: name) == nil else {
        throw KilnError(.badInput, "two initializers have the name \(KilnError.quoted(name))")
      }
    }
  }

  /// Names that the graph reads and does not make.
  var captures: Set<String> {
    var made = Set(inputs.map(\.name))
    made.formUnion(initializers.keys)
    made.formUnion(sparseInitializers.keys)
    for node in nodes { made.formUnion(node.outputs) }
    var read = Set(outputs.map(\.name))
    for node in nodes {
      read.formUnion(node.inputs)
      read.formUnion(node.captures)
    }
    read.remove("")
    return read.subtracting(made)
  }
}

extension ONNXFunction {
  init(_ proto: Onnx__FunctionProto, _ parsing: ONNXParsing) throws {
    try parsing.count(proto.n_node)
    name = try Repeated.text(proto.name)
    domain = ONNXModel.domain(try Repeated.text(proto.domain))
    overload = try Repeated.text(proto.overload)
    inputs = try Repeated.texts(proto.input, proto.n_input)
    outputs = try Repeated.texts(proto.output, proto.n_output)
    defaults = [:]
    do {
      nodes = try Repeated.messages(proto.node, proto.n_node).map { try ONNXNode($0.pointee, parsing) }
      for attribute in Repeated.messages(proto.attribute_proto, proto.n_attribute_proto) {
        defaults[try Repeated.text(attribute.pointee.name)] = try ONNXAttribute(attribute.pointee, parsing)
      }
      opsets = try ONNXModel.opsets(proto.opset_import, proto.n_opset_import)
    } catch let error as KilnError {
      throw KilnError(error.code, "function \(KilnError.quoted(name)): \(error.message)")
    }
  }
}

extension ONNXModel {
  /// Reads a model from its file.
  init(contentsOf file: MappedFile, external: ExternalData) throws {
    let message = try ParsedMessage<Onnx__ModelProto>(file.bytes, kiln_onnx_model(), what: "ONNX model")
    self = try message.withFields { try ONNXModel($0, ONNXParsing(file, external)) }
  }

  init(_ proto: Onnx__ModelProto, _ parsing: ONNXParsing) throws {
    irVersion = Int(clamping: proto.ir_version)
    guard irVersion >= 3 || proto.n_opset_import > 0 else {
      throw KilnError(.unsupportedModel, "is an ONNX file of the IR version \(irVersion); 3 and later are read")
    }
    producer = try Repeated.text(proto.producer_name)
    producerVersion = try Repeated.text(proto.producer_version)
    opsets = try ONNXModel.opsets(proto.opset_import, proto.n_opset_import)
    functions = [:]
    for proto in Repeated.messages(proto.functions, proto.n_functions) {
      let function = try ONNXFunction(proto.pointee, parsing)
      guard functions.updateValue(function, forKey: ONNXFunction.key(function.domain, function.name, function.overload)) == nil else {
        throw KilnError(.badInput, "two functions have the name \(KilnError.quoted(function.name))")
      }
    }
    metadata = try Repeated.messages(proto.metadata_props, proto.n_metadata_props).map {
      (try Repeated.text($0.pointee.key), try Repeated.text($0.pointee.value))
    }
    guard let graph = proto.graph else { throw KilnError(.badInput, "is an ONNX file without a graph") }
    self.graph = try ONNXGraph(graph.pointee, parsing)
  }

  static func opsets(
    _ start: UnsafeMutablePointer<UnsafeMutablePointer<Onnx__OperatorSetIdProto>?>?, _ count: Int
  ) throws -> [String: Int] {
    var found: [String: Int] = [:]
    for set in Repeated.messages(start, count) {
      let domain = domain(try Repeated.text(set.pointee.domain))
      let version = Int(clamping: set.pointee.version)
      guard found.updateValue(version, forKey: domain) == nil || found[domain] == version else {
        throw KilnError(.badInput, "the operator set \(KilnError.quoted(domain)) is imported twice")
      }
    }
    return found
  }
}
