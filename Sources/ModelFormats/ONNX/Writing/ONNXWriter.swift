import GraphModule
import TensorModule

/// Writes graphs as ONNX files. The same graph gives the same bytes.
package enum ONNXWriter {
  /// How a file may be written.
  package struct Options: Sendable {
    /// Tensors go to a file of their own beside the model, as they must from 2 GiB on.
    package var usesExternalData = false
    package init() {}
  }

  /// The bytes that a message of protobuf may have, with room for what is around tensors.
  private static let mostBytes = Int(Int32.max) - (1 << 20)
  /// Smaller tensors stay in the model.
  private static let leastExternal = 1024
  /// Tensors begin at pages, so that readers can map them.
  private static let alignment = 4096

  /// Writes a graph; the file (or both) appears complete or not at all.
  ///
  /// - Parameters:
  ///   - overwriting: replace existing files.
  ///   - validate: looks at the complete file under a temporary name; what it throws leaves nothing behind.
  /// - Returns: notes on what is not quite as in the source.
  /// - Throws: `KilnError`: `unsupportedModel` with everything that ONNX cannot express, `failed` when a file exists or cannot be written.
  package static func write(
    _ graph: Graph, to path: String, options: Options = Options(), overwriting: Bool = false, validate: (String) throws -> Void = { _ in }
  ) throws -> [String] {
    let draft = ONNXDraft()
    let main = try block(graph, draft)
    let folder = try PrivateFolder(beside: path)
    let name = path.split(separator: "/").last.map(String.init) ?? "model.onnx"
    let (temporary, dataName) = ("\(folder.path)/\(name)", "\(name).data")
    let metadata = graph.metadata.sorted { $0.key < $1.key }.map { ("kiln.\($0.key)", $0.value) }
    var message = options.usesExternalData ? nil : try draft.model(main, metadata: metadata, external: nil)
    var hasData = false
    if options.usesExternalData || (message?.count ?? 0) > mostBytes {
      if !overwriting, FileStatus.exists("\(path).data") { throw KilnError(.failed, "exists already", at: ["\(path).data"], hint: "--force overwrites it") }
      let places = try folder.standing(for: "\(path).data") { try writeTensors(draft, to: "\(folder.path)/\(dataName)") }
      message = try draft.model(main, metadata: metadata, external: (dataName, places))
      hasData = true
    }
    guard let message, message.count <= mostBytes else { throw KilnError(.unsupportedModel, "the graph without its tensors has over 2 GiB") }
    try folder.standing(for: path) {
      var file = try AtomicFile.create(path: temporary, overwriting: true)
      try message.write(to: &file)
      try file.commit()
    }
    try validate(temporary)
    if !overwriting, FileStatus.exists(path) { throw KilnError(.failed, "exists already", at: [path], hint: "--force overwrites it") }
    if hasData { try FileStatus.publish("\(folder.path)/\(dataName)", as: "\(path).data") }
    try FileStatus.publish(temporary, as: path)
    return draft.notes
  }

  /// The ops of ONNX that a graph becomes, in order, without those of the graphs in it.
  package static func ops(_ graph: Graph) throws -> [String] { try block(graph, ONNXDraft()).nodes.map(\.op) }

  /// The file of tensors, and where each is in it.
  private static func writeTensors(_ draft: ONNXDraft, to path: String) throws -> [String: ONNXDraft.Place] {
    var file = try AtomicFile.create(path: path, overwriting: true)
    var places: [String: ONNXDraft.Place] = [:]
    var offset = 0
    for initializer in draft.initializers where initializer.dtype != .string && initializer.byteCount >= leastExternal {
      let gap = (alignment - offset % alignment) % alignment
      try file.write([UInt8](repeating: 0, count: gap))
      offset += gap
      let tensor = try initializer.make()
      try file.write(tensor.bytes)
      tensor.releaseMapping()
      places[initializer.name] = ONNXDraft.Place(offset: offset, length: initializer.byteCount)
      offset += initializer.byteCount
    }
    try file.commit()
    return places
  }

  /// The graph as ONNX's.
  private static func block(_ graph: Graph, _ draft: ONNXDraft) throws -> ONNXBlock {
    let main = ONNXBlock(graph.name.isEmpty ? "model" : graph.name)
    let scope = ONNXGraphWriter(graph, draft, main)
    for input in graph.inputs {
      let value = graph[input]
      let name = draft.unique(value.name)
      main.inputs.append(ONNXDraftValue(name: name, type: value.type))
      scope.define(input, name)
    }
    // The outputs' names are theirs, whatever comes between.
    let names = graph.outputs.map { draft.unique($0.name) }
    for input in graph.inputs { scope.bindSymbols(input) }
    if !graph.states.isEmpty { draft.note("states begin anew in each run") }
    scope.writeNodes()
    for (output, name) in zip(graph.outputs, names) {
      do {
        let made = try scope.name(output.value)
        let isFree = draft.renamed[made] == nil && main.nodes.contains { $0.outputs.contains(made) }
        if isFree { draft.renamed[made] = name } else {
          main.nodes.append(ONNXDraftNode(op: "Identity", domain: "", inputs: [made], outputs: [name], attributes: []))
        }
        main.outputs.append(ONNXDraftValue(name: name, type: scope.type(output.value)))
      } catch let error as KilnError { draft.problems.append(error.message) }
    }
    if main.outputs.isEmpty { draft.problems.append("ONNX takes no model without outputs") }
    guard draft.problems.isEmpty else {
      let all = draft.problems
      throw KilnError(.unsupportedModel, all.count == 1 ? all[0] : "\(all.count) things cannot be written: " + all.joined(separator: "; "))
    }
    return main
  }
}
