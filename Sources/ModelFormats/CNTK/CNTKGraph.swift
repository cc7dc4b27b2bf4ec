import TensorModule

/// A model with its blocks taken apart: primitive functions, what each of their operands is, and the circles among them.
final class CNTKGraph {
  static let maximumDepth = 64

  /// What a uid stands for when blocks, placeholders and combinations are looked through.
  enum Source: Hashable {
    case result(function: Int, index: Int)
    case variable(String)
  }

  let model: CNTKModel
  /// The functions that compute something; indices are those of the model's list.
  private let producers: [String: (function: Int, index: Int)]
  private let functions: [String: Int]
  private let placeholders: [String: String]
  private var known: [String: Source] = [:]
  /// The path of blocks around each function, by the function's index.
  private(set) var scopes: [Int: String] = [:]

  init(_ model: CNTKModel) throws {
    self.model = model
    var producers: [String: (function: Int, index: Int)] = [:]
    var functions: [String: Int] = [:]
    var placeholders: [String: String] = [:]
    for (index, function) in model.functions.enumerated() {
      functions[function.uid] = index
      for result in 0..<2 { producers[function.result(result)] = (index, result) }
      for (placeholder, value) in function.block?.arguments ?? [] {
        if let other = placeholders.updateValue(value, forKey: placeholder), other != value {
          throw KilnError(.badInput, "the placeholder \(KilnError.quoted(placeholder)) stands for two values")
        }
      }
      if let block = function.block, block.root == function.uid {
        throw KilnError(.badInput, "block \(KilnError.quoted(function.title)) is its own root")
      }
    }
    // Blocks may have more results than two.
    for (index, function) in model.functions.enumerated() where function.isBlock {
      let root = function.block.flatMap { functions[$0.root] }.map { model.functions[$0] }
      if let root, root.isCombine { for result in root.inputs.indices { producers[function.result(result)] = (index, result) } }
    }
    self.producers = producers
    self.functions = functions
    self.placeholders = placeholders
    scopes = try blockPaths()
  }

  /// The path of blocks around each function.
  private func blockPaths() throws -> [Int: String] {
    var parents: [Int: Int] = [:]
    for (index, function) in model.functions.enumerated() {
      guard let block = function.block, let root = functions[block.root] else { continue }
      var open = [root]
      while let inner = open.popLast() {
        guard inner != index, parents[inner] == nil else { continue }
        parents[inner] = index
        for uid in model.functions[inner].inputs where placeholders[uid] == nil { if let producer = producers[uid]?.function { open.append(producer) } }
      }
    }
    var paths: [Int: String] = [:]
    for index in parents.keys.sorted() {
      var (names, outer): ([String], Int?) = ([], parents[index])
      while let block = outer {
        let function = model.functions[block]
        let word = function.name.isEmpty ? (function.block?.name ?? "") + function.uid.drop { !$0.isNumber } : function.name
        names.append(word.replacing("/", with: "_"))
        guard names.count <= CNTKGraph.maximumDepth else { throw KilnError(.badInput, "blocks are nested deeper than \(CNTKGraph.maximumDepth) levels") }
        outer = parents[block]
      }
      paths[index] = names.reversed().joined(separator: "/")
    }
    return paths
  }

  /// The name of a function's first result: its own below its blocks, with its uid where that would be another's.
  private(set) lazy var names: [String] = {
    var taken: [String: Int] = [:]
    let plain = model.functions.indices.map { index in
      let name = [scopes[index] ?? "", model.functions[index].title].filter { !$0.isEmpty }.joined(separator: "/")
      taken[name, default: 0] += 1
      return name
    }
    return plain.enumerated().map { index, name in
      guard taken[name, default: 0] > 1 else { return name }
      return [scopes[index] ?? "", model.functions[index].uid].filter { !$0.isEmpty }.joined(separator: "/")
    }
  }()

  /// What a uid stands for.
  ///
  /// - Throws: `KilnError` (`badInput`) when it leads nowhere, or round and round.
  func source(_ uid: String) throws -> Source {
    if let known = known[uid] { return known }
    var (uid, path) = (uid, [uid])
    // Each step goes through a placeholder or a block; a chain of all of them is the longest there can be.
    for _ in 0...(placeholders.count + producers.count) {
      let source: Source
      if let found = known[uid] { source = found } else {
        switch try step(uid) {
        case .next(let next):
          uid = next
          path.append(uid)
          continue
        case .end(let end): source = end
        }
      }
      for uid in path { known[uid] = source }
      return source
    }
    throw KilnError(.badInput, "blocks and placeholders lead round in a circle at \(KilnError.quoted(uid))")
  }

  private enum Step {
    case next(String)
    case end(Source)
  }

  private func step(_ uid: String) throws -> Step {
    if let value = placeholders[uid] { return .next(value) }
    guard let (index, result) = producers[uid] else {
      guard let variable = model.variables[uid] else { throw KilnError(.badInput, "there is no variable \(KilnError.quoted(uid))") }
      guard variable.kind != .placeholder else { throw KilnError(.badInput, "the placeholder \(KilnError.quoted(uid)) stands for nothing") }
      guard variable.kind != .output else { throw KilnError(.badInput, "no function makes \(KilnError.quoted(uid))") }
      return .end(.variable(uid))
    }
    let function = model.functions[index]
    if function.isCombine {
      guard function.inputs.indices.contains(result) else { throw KilnError(.badInput, "\(KilnError.quoted(function.title)) has no result \(result)") }
      return .next(function.inputs[result])
    }
    guard let block = function.block else { return .end(.result(function: index, index: result)) }
    guard let inner = functions[block.root] else {
      throw KilnError(.badInput, "block \(KilnError.quoted(function.title)): its root \(KilnError.quoted(block.root)) is missing")
    }
    let root = model.functions[inner]
    guard root.isCombine else { return .next(root.result(result)) }
    guard root.inputs.indices.contains(result) else { throw KilnError(.badInput, "block \(KilnError.quoted(function.title)) has no result \(result)") }
    return .next(root.inputs[result])
  }

  /// A variable's own declaration, of a placeholder too.
  func declaration(_ uid: String) -> CNTKVariable? { model.variables[uid] }

  /// The primitive functions that the wanted values need: those that feed each other in a circle together, each group after
  /// those that it reads.
  ///
  /// - Throws: `KilnError` (`badInput`) when a uid leads nowhere.
  func groups(wanted: [String]) throws -> [Group] {
    var finder = ComponentFinder(self)
    for uid in wanted { if case .result(let function, _) = try source(uid) { try finder.visit(function) } }
    return finder.groups
  }

  /// Functions that feed each other; or one alone.
  struct Group {
    var functions: [Int]
    var isLoop: Bool
  }
}

/// Tarjan's algorithm with a stack of its own.
private struct ComponentFinder {
  private let graph: CNTKGraph
  private(set) var groups: [CNTKGraph.Group] = []
  private var number: [Int: Int] = [:]
  private var low: [Int: Int] = [:]
  private var open: [Int] = []
  private var isOpen: Set<Int> = []

  private struct Frame {
    var function: Int
    var operands: [Int]
    var next = 0
  }

  init(_ graph: CNTKGraph) { self.graph = graph }

  private func operands(_ function: Int) throws -> [Int] {
    let node = graph.model.functions[function]
    do {
      return try node.inputs.compactMap { uid in
        if case .result(let operand, _) = try graph.source(uid) { operand } else { nil }
      }
    } catch let error as KilnError {
      throw KilnError(error.code, "node \(KilnError.quoted(node.title)) (\(KilnError.escaped(node.op))): \(error.message)")
    }
  }

  mutating func visit(_ start: Int) throws {
    guard number[start] == nil else { return }
    var stack = [try enter(start)]
    while var frame = stack.popLast() {
      let function = frame.function
      if frame.next < frame.operands.count {
        let operand = frame.operands[frame.next]
        frame.next += 1
        stack.append(frame)
        if number[operand] == nil {
          stack.append(try enter(operand))
        } else if isOpen.contains(operand), let other = number[operand] {
          low[function] = min(low[function] ?? other, other)
        }
        continue
      }
      if let parent = stack.last, let mine = low[function] { low[parent.function] = min(low[parent.function] ?? mine, mine) }
      guard low[function] == number[function] else { continue }
      var members: [Int] = []
      while let top = open.popLast() {
        isOpen.remove(top)
        members.append(top)
        if top == function { break }
      }
      let isLoop = members.count > 1 || frame.operands.contains(function)
      groups.append(CNTKGraph.Group(functions: members.sorted(), isLoop: isLoop))
    }
  }

  private mutating func enter(_ function: Int) throws -> Frame {
    let index = number.count
    number[function] = index
    low[function] = index
    open.append(function)
    isOpen.insert(function)
    return Frame(function: function, operands: try operands(function))
  }
}
