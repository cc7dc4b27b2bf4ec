import TensorModule

/// A computation network of CNTK 1: nodes by name, then which of them reads which.
struct CNTKLegacyFile {
  /// The name of the dynamic axis of what is no sequence.
  static let noSequence = "__noSequenceAxis"
  static let newestVersion = 31

  let version: Int
  private(set) var nodes: [CNTKLegacyNode] = []
  private(set) var children: [String: [String]] = [:]
  /// Names of nodes by their groups: `FeatureNodes`, `OutputNodes`, …
  private(set) var groups: [String: [String]] = [:]
  private let file: MappedFile

  /// Whether bytes begin as a network's file: UTF-16 text `BCN` with its zero, then `BVersion` or a number.
  static func isNetwork(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.starts(with: "BCN\0".utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] })
  }

  init(_ file: MappedFile) throws {
    self.file = file
    var reader = CNTKLegacyReader(file)
    try reader.marker("BCN")
    var version = 1
    if reader.skip("BVersion") {
      version = try reader.long()
      try reader.marker("EVersion")
    }
    guard (7...CNTKLegacyFile.newestVersion).contains(version) else {
      throw KilnError(.unsupportedModel, "is a computation network of the version \(version); 7 to \(CNTKLegacyFile.newestVersion) are read")
    }
    self.version = version
    // A node takes at least the zeros behind its three texts.
    let count = try reader.count(atMost: min(CNTKModel.maximumFunctions, file.bytes.count / 8), "nodes")
    try reader.marker("BNodeList")
    var names: Set<String> = []
    for _ in 0..<count {
      let node = try CNTKLegacyFile.node(&reader)
      guard names.insert(node.name).inserted else { throw KilnError(.badInput, "two nodes have the name \(KilnError.quoted(node.name))") }
      nodes.append(node)
    }
    try reader.marker("ENodeList")
    try reader.marker("BRelation")
    for _ in 0..<count {
      let name = try reader.text()
      let number = try reader.count(atMost: file.bytes.count / 2, "inputs of a node")
      guard names.contains(name), children[name] == nil else { throw KilnError(.badInput, "the relations name the node \(KilnError.quoted(name)), which is unknown or named twice") }
      children[name] = try (0..<number).map { _ in try reader.text() }
    }
    try reader.marker("ERelation")
    try reader.marker("BRootNodes")
    while let mark = reader.peek(), mark != "ERootNodes" {
      guard mark.hasPrefix("B"), groups.count < 32 else { throw reader.wrong("has the unknown mark \(KilnError.quoted(mark))") }
      _ = try reader.text()
      let number = try reader.count(atMost: count, "nodes of a group")
      groups[String(mark.dropFirst())] = try (0..<number).map { _ in try reader.text() }
      try reader.marker("E" + mark.dropFirst())
    }
    try reader.marker("ERootNodes")
  }

  private static func node(_ reader: inout CNTKLegacyReader) throws -> CNTKLegacyNode {
    let element = try reader.text()
    guard element == "float" || element == "double" else {
      guard element.count <= 16, ["half", "float16"].contains(element) else { throw reader.wrong("has \(KilnError.quoted(element)) where the type of a node's elements belongs") }
      throw KilnError(.unsupportedModel, "nodes of the element type \(KilnError.quoted(element)) are not supported")
    }
    let op = try reader.text(), name = try reader.text()
    guard !op.isEmpty, !name.isEmpty else { throw reader.wrong("has a node without a name or an operation") }
    var node = CNTKLegacyNode(isDouble: element == "double", op: op, name: name, kind: .axis)
    do {
      if op == "LearnableParameter" {
        _ = try reader.float()
        let shape = try reader.shape()
        let matrix = try reader.matrix()
        guard matrix.size == (node.isDouble ? 8 : 4), let count = checkedProduct(shape), let stored = checkedProduct([matrix.rows, matrix.columns]), count == stored else {
          throw KilnError(.badInput, "its shape \(CNTKShape(dims: shape).rowMajor.shapeText) is not that of its \(matrix.rows) times \(matrix.columns) values")
        }
        node.kind = .parameter(shape: shape)
        node.values = matrix.range
        return node
      }
      node.kind = try payload(op, node.isDouble, &reader)
    } catch let error as KilnError {
      throw KilnError(error.code, "node \(KilnError.quoted(name)) (\(KilnError.escaped(op))): \(error.message)")
    }
    return node
  }

  /// Reads a node's options in the form behind which the next node begins.
  private static func payload(_ op: String, _ isDouble: Bool, _ reader: inout CNTKLegacyReader) throws -> CNTKLegacyNode.Kind {
    guard let forms = CNTKLegacyLayout.forms(op) else {
      guard reader.findNode() else { throw reader.wrong("ends inside a node") }
      return .unread(reason: nil)
    }
    var problem: KilnError?
    for form in forms {
      var attempt = reader
      do {
        let kind = try form(&attempt, isDouble)
        guard let next = attempt.peek(), ["float", "double", "ENodeList"].contains(next) else { throw attempt.wrong("has no node where one belongs") }
        reader = attempt
        return kind
      } catch let error as KilnError { problem = problem ?? error }
    }
    throw problem ?? reader.wrong("has a node that is not read")
  }
}

extension CNTKModel {
  /// The model that a computation network is.
  init(legacy file: MappedFile) throws {
    let network = try CNTKLegacyFile(file)
    generation = "CNTK v1"
    version = network.version
    functions = []
    variables = [:]
    order = []
    outputs = []
    let labels = Dictionary(network.nodes.map { ($0.name, CNTKLegacyName($0.name)) }) { first, _ in first }
    var uids: [String: String] = [:]
    var taken: Set<String> = []
    for node in network.nodes {
      let label = labels[node.name] ?? CNTKLegacyName(node.name)
      // Uids of both generations' names must not meet.
      let uid = taken.insert(label.uid).inserted ? label.uid : node.name
      taken.insert(uid)
      switch node.kind {
      case .input, .parameter, .axis: uids[node.name] = uid
      case .second: uids[node.name] = nil
      default: uids[node.name] = "\(uid)_Output_0"
      }
    }
    // Second results belong to the node that they read.
    for node in network.nodes {
      guard case .second = node.kind else { continue }
      guard let owner = network.children[node.name]?.first, let first = uids[owner], first.hasSuffix("_Output_0") else {
        throw KilnError(.badInput, "node \(KilnError.quoted(node.name)) gives the second result of nothing")
      }
      uids[node.name] = String(first.dropLast()) + "1"
    }
    func resolved(_ name: String, _ reader: CNTKLegacyNode) throws -> String {
      guard let uid = uids[name] else { throw KilnError(.badInput, "node \(KilnError.quoted(reader.name)) (\(KilnError.escaped(reader.op))): there is no node \(KilnError.quoted(name))") }
      return uid
    }
    for node in network.nodes {
      let label = labels[node.name] ?? CNTKLegacyName(node.name)
      let own = uids[node.name] ?? node.name
      let type = node.isDouble ? 2 : 1
      let inputs = try (network.children[node.name] ?? []).map { try resolved($0, node) }
      let uid = own.hasSuffix("_Output_0") ? String(own.dropLast("_Output_0".count)) : own
      func variable(_ kind: CNTKVariable.Kind, _ uid: String, _ name: String, _ shape: [Int], _ value: CNTKArray? = nil) -> CNTKVariable {
        CNTKVariable(uid: uid, name: name, kind: kind, typeNumber: type, shape: CNTKShape(dims: shape), axes: [], isSparse: false, value: value)
      }
      switch node.kind {
      case .axis, .second: continue
      case .input(let shape, let axis):
        var input = variable(.input, uid, label.name, shape.map { $0 == 0 ? CNTKShape.free : $0 })
        let isSequence = axis != CNTKLegacyFile.noSequence
        if isSequence {
          let name = ["", "*"].contains(axis) ? CNTKAxis.sequenceName : axis
          input.axes.append(CNTKAxis(index: CNTKAxis.dynamic, name: name, isOrdered: true))
        }
        input.axes.append(CNTKAxis(index: CNTKAxis.dynamic, name: CNTKAxis.batchName, isOrdered: false))
        variables[uid] = input
        order.append(uid)
      case .parameter(let shape):
        guard let range = node.values else { continue }
        variables[uid] = variable(.parameter, uid, label.name, shape, CNTKArray(type: type, shape: CNTKShape(dims: shape), runs: [range], file: file))
        order.append(uid)
      case .function(let op, let attributes):
        var inputs = inputs
        // What came first in networks comes last in functions.
        switch op {
        case "GatherPacked", "ScatterPacked": inputs.reverse()
        case "CrossEntropyWithSoftmax", "ClassificationError", "Logistic":
          // Labels came first.
          if inputs.count >= 2 { inputs.swapAt(0, 1) }
        case "Clip" where inputs.count == 3: inputs = [inputs[2], inputs[0], inputs[1]]
        default: break
        }
        functions.append(CNTKFunction(uid: uid, name: label.name, op: op, inputs: inputs, attributes: attributes))
      case .delay(let op, let steps, let shape, let initial):
        var operands = inputs
        if operands.count == 1 {
          let name = "\(uid)/initial_state"
          variables[name] = variable(.constant, name, "", [], CNTKArray(type: type, shape: CNTKShape(dims: []), runs: [initial], file: file))
          operands.append(name)
        }
        // What is declared of the operand's shape helps to begin a loop.
        if let first = operands.first, first.hasSuffix("_Output_0"), variables[first] == nil, !shape.isEmpty, !shape.contains(0) {
          variables[first] = variable(.placeholder, first, "", shape)
        }
        functions.append(CNTKFunction(uid: uid, name: label.name, op: op, inputs: operands, attributes: ["offset": .int(steps)]))
      case .unread(let reason):
        functions.append(
          CNTKFunction(
            uid: uid, name: label.name, op: node.op, inputs: inputs, attributes: [CNTKFunction.unreadKey: .text(reason ?? "how it lies in such a file is not known")]))
      }
    }
    // CNTK 2 names only some of the outputs; what nothing reads is one too. Other networks' criteria are for training.
    let named = network.groups["OutputNodes"] ?? []
    var wanted = named
    if named.isEmpty || network.nodes.contains(where: { CNTKLegacyName.isModern($0.name) }) {
      let read = Set(network.children.values.flatMap { $0 })
      wanted = network.nodes.filter { node in
        switch node.kind {
        case .input, .parameter, .axis: named.contains(node.name)
        default: named.contains(node.name) || !read.contains(node.name)
        }
      }.map(\.name)
    }
    for name in wanted {
      guard let uid = uids[name] else { throw KilnError(.badInput, "the output \(KilnError.quoted(name)) is missing") }
      outputs.append(uid)
    }
  }
}

extension CNTKFunction {
  /// Why a function of a computation network is not read.
  static let unreadKey = "not read"
}

/// The name of a node, which holds the uid and the name of CNTK 2 when that wrote the file.
struct CNTKLegacyName {
  let uid: String
  let name: String

  private static let (uidMark, nameMark) = ("__v2libuid__", "__v2libname__")

  static func isModern(_ text: String) -> Bool { text.hasPrefix(uidMark) }

  init(_ text: String) {
    let (uidMark, nameMark) = (CNTKLegacyName.uidMark, CNTKLegacyName.nameMark)
    guard text.hasPrefix(uidMark), let split = text.firstRange(of: nameMark) else {
      (uid, name) = (text, text)
      return
    }
    uid = String(text[..<split.lowerBound].dropFirst(uidMark.count))
    name = String(text[split.upperBound...])
  }
}
