import CGraphSchemas
import TensorModule

/// A graph with signatures and the way to its variables: a MetaGraphDef.
struct MetaGraph {
  let graph: TFGraph
  private let version: String
  private let signatures: [(name: String, signature: Signature)]
  private let restoreOp: String
  private let objects: ObjectVariables

  struct Signature {
    var inputs: [TFModel.Endpoint]
    var outputs: [TFModel.Endpoint]
  }

  /// The name of the signature that holds what runs once at the start.
  static let initSignature = "__saved_model_init_op"

  /// - Parameter file: what the message was read from.
  init(_ proto: borrowing Tf__MetaGraphDef, _ file: MappedFile) throws {
    guard let graph = proto.graph_def else { throw KilnError(.badInput, "the MetaGraph holds no graph") }
    self.graph = try TFGraph(graph.pointee, file)
    version = try Repeated.text(proto.meta_info_def?.pointee.tensorflow_version)
    restoreOp = try Repeated.text(proto.saver_def?.pointee.restore_op_name)
    objects = try ObjectVariables(proto.object_graph_def?.pointee, self.graph)
    var signatures: [(name: String, signature: Signature)] = []
    for entry in Repeated.messages(proto.signature_def, proto.n_signature_def) {
      guard let value = entry.pointee.value else { continue }
      let name = try Repeated.text(entry.pointee.key)
      guard !signatures.contains(where: { $0.name == name }) else {
        throw KilnError(.badInput, "the signature \(KilnError.quoted(name)) appears twice")
      }
      do {
        signatures.append(
          (name, Signature(
            inputs: try MetaGraph.endpoints(value.pointee.inputs, value.pointee.n_inputs),
            outputs: try MetaGraph.endpoints(value.pointee.outputs, value.pointee.n_outputs))))
      } catch let error as KilnError { throw error.inside("signature \(KilnError.quoted(name))") }
    }
    self.signatures = signatures.sorted { $0.name < $1.name }
  }

  private static func endpoints(
    _ start: UnsafeMutablePointer<UnsafeMutablePointer<Tf__SignatureDef__TensorEntry>?>?, _ count: Int
  ) throws -> [TFModel.Endpoint] {
    var found: [TFModel.Endpoint] = []
    for entry in Repeated.messages(start, count) {
      let key = try Repeated.text(entry.pointee.key)
      guard let info = entry.pointee.value?.pointee else { continue }
      guard info.encoding_case == TF__TENSOR_INFO__ENCODING_NAME else {
        throw KilnError(.unsupportedModel, "\(KilnError.quoted(key)) is a sparse or composite tensor, which is not supported")
      }
      guard !found.contains(where: { $0.name == key }) else { throw KilnError(.badInput, "\(KilnError.quoted(key)) appears twice") }
      found.append(
        TFModel.Endpoint(
          name: key, tensor: try TFReference(try Repeated.text(info.name)),
          shape: try info.tensor_shape.map { try TFShape($0.pointee) }, type: TFDataType(info.dtype)))
    }
    return found.sorted { $0.name < $1.name }
  }

  static func tags(_ proto: borrowing Tf__MetaGraphDef) throws -> [String] {
    guard let info = proto.meta_info_def?.pointee else { return [] }
    return try Repeated.texts(info.tags, info.n_tags)
  }

  /// The node names of a collection; nothing when there is none of that name.
  static func nodes(_ proto: borrowing Tf__MetaGraphDef, _ collection: String) throws -> [String] {
    for entry in Repeated.messages(proto.collection_def, proto.n_collection_def) {
      guard try Repeated.text(entry.pointee.key) == collection, let value = entry.pointee.value?.pointee,
        value.kind_case == TF__COLLECTION_DEF__KIND_NODE_LIST, let list = value.node_list?.pointee
      else { continue }
      return try Repeated.texts(list.value, list.n_value).map { try TFReference($0).node }
    }
    return []
  }

  /// What runs once at the start: by signature in TensorFlow 2, by a collection before.
  func mainOp(_ proto: borrowing Tf__MetaGraphDef) throws -> [String] {
    if let found = signatures.first(where: { $0.name == MetaGraph.initSignature })?.signature.outputs { return found.map(\.tensor.node) }
    for name in ["saved_model_main_op", "legacy_init_op"] {
      let nodes = try MetaGraph.nodes(proto, name)
      if !nodes.isEmpty { return nodes }
    }
    return []
  }

  /// The contents of asset files, by the node that holds their path.
  func assets(_ proto: borrowing Tf__MetaGraphDef, _ folder: String) throws -> [String: () throws -> [UInt8]] {
    var files: [(tensor: String, file: String)] = []
    for asset in Repeated.messages(proto.asset_file_def, proto.n_asset_file_def) {
      guard let tensor = asset.pointee.tensor_info?.pointee, tensor.encoding_case == TF__TENSOR_INFO__ENCODING_NAME else { continue }
      files.append((try Repeated.text(tensor.name), try Repeated.text(asset.pointee.filename)))
    }
    files += try MetaGraph.collectedAssets(proto)
    var found: [String: () throws -> [UInt8]] = [:]
    for (tensor, name) in files {
      let node = try TFReference(tensor).node
      found[node] = {
        guard FilePath.kind("\(folder)/assets") == .folder else { throw KilnError(.badInput, "the folder 'assets' is missing") }
        let file = try FilePath.map(name, below: "\(folder)/assets", "the asset")
        return withExtendedLifetime(file) { Array(file.bytes) }
      }
    }
    return found
  }

  /// Assets as TensorFlow 1 lists them: messages in a collection.
  private static func collectedAssets(_ proto: borrowing Tf__MetaGraphDef) throws -> [(tensor: String, file: String)] {
    var found: [(tensor: String, file: String)] = []
    for entry in Repeated.messages(proto.collection_def, proto.n_collection_def) {
      guard try Repeated.text(entry.pointee.key) == "saved_model_assets", let value = entry.pointee.value?.pointee,
        value.kind_case == TF__COLLECTION_DEF__KIND_ANY_LIST, let list = value.any_list?.pointee
      else { continue }
      for item in Repeated.messages(list.value, list.n_value) {
        let bytes = UnsafeRawBufferPointer(start: item.pointee.value.data, count: item.pointee.value.len)
        // AssetFileDef: a TensorInfo, whose first field is the tensor's name, and the file's name.
        var (tensor, file) = ("", "")
        try fields(bytes, 0..<bytes.count) { number, place in
          if number == 2 { file = String(decoding: bytes[place], as: UTF8.self) }
          if number == 1 { try fields(bytes, place) { if $0 == 1 { tensor = String(decoding: bytes[$1], as: UTF8.self) } } }
        }
        if !tensor.isEmpty { found.append((tensor, file)) }
      }
    }
    return found
  }

  private static func fields(
    _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ body: (UInt32, Range<Int>) throws -> Void
  ) throws {
    var reader = WireReader(bytes, range)
    while !reader.isAtEnd {
      let (number, wire) = try reader.tag()
      let place = try reader.payload(wire: wire)
      if wire == 2 { try body(number, place) }
    }
  }

  /// The model with its signature and variables.
  ///
  /// - Parameters:
  ///   - initializers: the nodes that run once at the start.
  ///   - assets: the contents of files, by the node that holds their path.
  func model(
    _ container: String, _ store: VariableStore?, _ selection: TFSelection, initializers: [String] = [],
    assets: [String: () throws -> [UInt8]] = [:]
  ) throws -> TFModel {
    var model = TFModel(graph: graph, container: container)
    model.version = version
    let usable = signatures.filter { $0.name != MetaGraph.initSignature && !$0.signature.outputs.isEmpty }
    model.signatures = usable.map(\.name)
    if let chosen = try choice(usable, selection) {
      model.signature = chosen.name
      model.inputs = chosen.signature.inputs
      model.outputs = chosen.signature.outputs
    }
    let restored = try RestoredVariables(graph, restoreOp, initializers: initializers)
    if let store {
      model.variables = restored.sources(in: store, graph)
      let known = try objects.sources(store)
      for (variable, key) in known where model.variables[variable] == nil && store.contains(key) {
        model.variables[variable] = { try store.tensor(key, slice: nil) }
      }
    }
    model.tables = restored.tables(in: store, assets)
    model.fillings = restored.fillings
    if store != nil { model.stored = Set(restored.tableContents.keys) }
    return model
  }

  private func choice(_ usable: [(name: String, signature: Signature)], _ selection: TFSelection) throws -> (name: String, signature: Signature)? {
    let list = usable.map { KilnError.quoted($0.name) }.joined(separator: ", ")
    if let wanted = selection.signature {
      guard let found = usable.first(where: { $0.name == wanted }) else {
        throw KilnError(
          .usage, "there is no signature \(KilnError.quoted(wanted))",
          hint: usable.isEmpty ? "the model has none; name its --outputs" : "there are: \(list)")
      }
      return found
    }
    return usable.first { $0.name == "serving_default" } ?? (usable.count == 1 ? usable.first : nil)
  }
}
