import CGraphSchemas
import TensorModule

extension TFShape {
  init(_ proto: Tf__TensorShapeProto) throws {
    if proto.unknown_rank != 0 {
      dims = nil
      return
    }
    dims = try Repeated.messages(proto.dim, proto.n_dim).map { dim in
      guard dim.pointee.size >= -1, let size = Int(exactly: dim.pointee.size), size <= 1 << 48 else {
        throw KilnError(.badInput, "a shape has the impossible length \(dim.pointee.size)")
      }
      return size == -1 ? nil : size
    }
  }
}

extension TFAttribute {
  /// - Parameter depth: how many lists and functions are around it.
  init?(_ proto: Tf__AttrValue, _ file: MappedFile) throws {
    switch proto.value_case {
    case TF__ATTR_VALUE__VALUE_S: self = .bytes(Repeated.bytes(proto.s))
    case TF__ATTR_VALUE__VALUE_I: self = .int(Int(proto.i))
    case TF__ATTR_VALUE__VALUE_F: self = .float(Double(proto.f))
    case TF__ATTR_VALUE__VALUE_B: self = .bool(proto.b != 0)
    case TF__ATTR_VALUE__VALUE_TYPE: self = .type(TFDataType(proto.type))
    case TF__ATTR_VALUE__VALUE_SHAPE:
      guard let shape = proto.shape else { return nil }
      self = .shape(try TFShape(shape.pointee))
    case TF__ATTR_VALUE__VALUE_TENSOR:
      guard let tensor = proto.tensor else { return nil }
      self = .tensor(try TFTensor(tensor.pointee, file))
    case TF__ATTR_VALUE__VALUE_FUNC:
      guard let function = proto.func else { return nil }
      self = .function(try Repeated.text(function.pointee.name))
    case TF__ATTR_VALUE__VALUE_PLACEHOLDER: self = .placeholder(try Repeated.text(proto.placeholder))
    case TF__ATTR_VALUE__VALUE_LIST:
      guard let list = proto.list?.pointee else { return nil }
      var items: [TFAttribute] = Repeated.values(list.s, list.n_s).map { .bytes(Repeated.bytes($0)) }
      items += Repeated.values(list.i, list.n_i).map { .int(Int($0)) }
      items += Repeated.values(list.f, list.n_f).map { .float(Double($0)) }
      items += Repeated.values(list.b, list.n_b).map { .bool($0 != 0) }
      items += Repeated.values(list.type, list.n_type).map { .type(TFDataType($0)) }
      items += try Repeated.messages(list.shape, list.n_shape).map { .shape(try TFShape($0.pointee)) }
      items += try Repeated.messages(list.tensor, list.n_tensor).map { .tensor(try TFTensor($0.pointee, file)) }
      items += try Repeated.messages(list.func, list.n_func).map { .function(try Repeated.text($0.pointee.name)) }
      self = .list(items)
    default: return nil
    }
  }
}

extension TFNode {
  init(_ proto: Tf__NodeDef, _ file: MappedFile) throws {
    name = try Repeated.text(proto.name)
    op = try Repeated.text(proto.op)
    device = try Repeated.text(proto.device)
    inputs = []
    controls = []
    attributes = [:]
    guard !name.isEmpty, name.utf8.count <= 1024 else {
      throw KilnError(.badInput, "a node's name has \(name.utf8.count) bytes; 1 to 1024 are allowed")
    }
    do {
      for input in try Repeated.texts(proto.input, proto.n_input) {
        if input.hasPrefix("^") {
          controls.append(String(input.dropFirst()))
        } else {
          guard controls.isEmpty else { throw KilnError(.badInput, "a control input stands before the input \(KilnError.quoted(input))") }
          inputs.append(try TFReference(input))
        }
      }
      for entry in Repeated.messages(proto.attr, proto.n_attr) {
        guard let value = entry.pointee.value, let attribute = try TFAttribute(value.pointee, file) else { continue }
        attributes[try Repeated.text(entry.pointee.key)] = attribute
      }
    } catch let error as KilnError {
      throw KilnError(error.code, "node \(KilnError.quoted(name)): \(error.message)")
    }
  }
}

extension TFFunction {
  init(_ proto: Tf__FunctionDef, _ file: MappedFile) throws {
    guard let signature = proto.signature?.pointee else { throw KilnError(.badInput, "a function has no signature") }
    func arguments(_ start: UnsafeMutablePointer<UnsafeMutablePointer<Tf__OpDef__ArgDef>?>?, _ count: Int) throws -> [Argument] {
      try Repeated.messages(start, count).map {
        Argument(name: try Repeated.text($0.pointee.name), type: TFDataType($0.pointee.type))
      }
    }
    name = try Repeated.text(signature.name)
    inputs = try arguments(signature.input_arg, signature.n_input_arg)
    outputs = try arguments(signature.output_arg, signature.n_output_arg)
    results = [:]
    do {
      nodes = try Repeated.messages(proto.node_def, proto.n_node_def).map { try TFNode($0.pointee, file) }
      for entry in Repeated.messages(proto.ret, proto.n_ret) {
        results[try Repeated.text(entry.pointee.key)] = try TFReference(try Repeated.text(entry.pointee.value))
      }
    } catch let error as KilnError {
      throw KilnError(error.code, "function \(KilnError.quoted(name)): \(error.message)")
    }
  }
}

extension TFGraph {
  /// How many nodes a graph with its functions may have.
  static let maximumNodes = 1_000_000

  /// Reads a GraphDef from its file.
  init(contentsOf file: MappedFile) throws {
    let message = try ParsedMessage<Tf__GraphDef>(file.bytes, kiln_tf_graph_def(), what: "TensorFlow graph")
    self = try message.withFields { try TFGraph($0, file) }
  }

  /// - Parameter file: where the message lies; its tensors' places count from its first byte.
  init(_ proto: Tf__GraphDef, _ file: MappedFile) throws {
    let functions = Repeated.messages(proto.library?.pointee.function, proto.library?.pointee.n_function ?? 0)
    let count = functions.reduce(proto.n_node) { $0 + $1.pointee.n_node_def }
    guard count <= TFGraph.maximumNodes else {
      throw KilnError(.badInput, "has \(count) nodes; at most \(TFGraph.maximumNodes) are supported")
    }
    nodes = try Repeated.messages(proto.node, proto.n_node).map { try TFNode($0.pointee, file) }
    self.functions = [:]
    for proto in functions {
      let function = try TFFunction(proto.pointee, file)
      guard self.functions.updateValue(function, forKey: function.name) == nil else {
        throw KilnError(.badInput, "two functions have the name \(KilnError.quoted(function.name))")
      }
    }
    producer = Int(proto.versions?.pointee.producer ?? 0)
  }
}
