import TensorModule

/// Turns the text of a regular expression into a program.
struct RegularExpressionParser {
  private indirect enum Node {
    case empty
    case characters(CharacterSet)
    case begin
    case end
    case beginLine
    case endLine
    case word(Bool)
    case group(Int, Node)
    case sequence([Node])
    case choice([Node])
    case repetition(Node, Int, Int?, greedy: Bool)
  }

  private typealias Instruction = RegularExpression.Instruction

  /// What `(?imsU)` switches.
  private struct Flags {
    var ignoresCase = false
    var dotTakesNewline = false
    var hasLines = false
    var isLazy = false
  }

  private let pattern: String
  private let text: [Unicode.Scalar]
  private var position = 0
  private var groups = 0
  private var flags = Flags()
  private var program: [Instruction] = []
  /// Nodes turned into instructions so far: repetitions of nothing make none.
  private var emitted = 0

  private static let maximumProgram = 20_000
  /// RE2's own limit.
  private static let maximumRepetition = 1000

  init(_ pattern: String) {
    self.pattern = pattern
    text = Array(pattern.unicodeScalars)
  }

  mutating func parse() throws -> ([RegularExpression.Instruction], groups: Int) {
    guard text.count <= 10_000 else { throw KilnError(.unsupportedModel, "a regular expression of \(text.count) characters") }
    let tree = try choice(depth: 0)
    guard position == text.count else { throw refused("an unmatched )") }
    guard groups <= 100 else { throw refused("more than 100 groups") }
    try emit(.group(0, tree))
    program.append(.match)
    return (program, groups)
  }

  private func refused(_ what: String) -> KilnError {
    KilnError(.unsupportedModel, "the regular expression \(KilnError.quoted(pattern)): \(what) is not supported")
  }

  private mutating func accept(_ prefix: String) -> Bool {
    let scalars = Array(prefix.unicodeScalars)
    guard text.count - position >= scalars.count, text[position..<position + scalars.count].elementsEqual(scalars) else { return false }
    position += scalars.count
    return true
  }

  /// What stands between `(?` and `)` or `:`.
  private mutating func readFlags() throws -> Flags {
    var (found, isOn) = (flags, true)
    while position < text.count, text[position] != ")", text[position] != ":" {
      switch text[position] {
      case "i": found.ignoresCase = isOn
      case "s": found.dotTakesNewline = isOn
      case "m": found.hasLines = isOn
      case "U": found.isLazy = isOn
      case "-" where isOn: isOn = false
      default: throw refused("(?\(text[position])")
      }
      position += 1
    }
    return found
  }

  /// What follows an opening parenthesis; nil for `(?i)`, which only switches flags for what follows.
  private mutating func group(depth: Int) throws -> Node? {
    let outer = flags
    var group: Int?
    if accept("?P<") || accept("?<") {
      guard let end = text[position...].firstIndex(of: ">"), end > position,
        text[position..<end].allSatisfy({ $0 == "_" || $0.properties.isAlphabetic || ("0"..."9").contains($0) })
      else { throw refused("this name of a group") }
      position = end + 1
      groups += 1
      group = groups
    } else if accept("?") {
      flags = try readFlags()
      if accept(")") { return nil }
      guard accept(":") else { throw refused("a group that does not end") }
    } else {
      groups += 1
      group = groups
    }
    let inner = try choice(depth: depth + 1)
    guard accept(")") else { throw refused("a group that does not end") }
    flags = outer
    return group.map { .group($0, inner) } ?? inner
  }

  private mutating func choice(depth: Int) throws -> Node {
    guard depth < 64 else { throw refused("nesting deeper than 64") }
    var branches = [try sequence(depth: depth)]
    while accept("|") { branches.append(try sequence(depth: depth)) }
    return branches.count == 1 ? branches[0] : .choice(branches)
  }

  private mutating func sequence(depth: Int) throws -> Node {
    var items: [Node] = []
    while position < text.count, text[position] != "|", text[position] != ")" {
      if accept("\\Q") {
        while position < text.count, !accept("\\E") {
          let scalar = text[position]
          position += 1
          let last = set(CharacterSet([scalar.value...scalar.value]))
          let ends = accept("\\E")
          items.append(ends ? try repeated(last) : last)
          if ends { break }
        }
        continue
      }
      if accept("(") {
        if let node = try group(depth: depth) { items.append(try repeated(node)) }
        continue
      }
      items.append(try repeated(try atom()))
    }
    return items.isEmpty ? .empty : items.count == 1 ? items[0] : .sequence(items)
  }

  private mutating func repeated(_ atom: Node) throws -> Node {
    var node = atom
    var count = 0
    while position < text.count {
      var (low, high): (Int, Int?) = (0, nil)
      if accept("*") {} else if accept("+") { low = 1 } else if accept("?") { high = 1 } else if let bounds = try bounds() {
        (low, high) = bounds
      } else {
        return node
      }
      count += 1
      if count > 1 { throw refused("a repetition of a repetition") }
      node = .repetition(node, low, high, greedy: accept("?") == flags.isLazy)
    }
    return node
  }

  /// `{n}`, `{n,}` or `{n,m}`; anything else in braces stands for itself, as in RE2.
  private mutating func bounds() throws -> (Int, Int?)? {
    guard position < text.count, text[position] == "{",
      let end = text[position...].firstIndex(of: "}")
    else { return nil }
    let inside = String(String.UnicodeScalarView(text[(position + 1)..<end]))
    let parts = inside.split(separator: ",", omittingEmptySubsequences: false)
    guard let first = parts.first, parts.count <= 2, let low = Int(first), first.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    var high: Int? = low
    if parts.count == 2 {
      high = nil
      if !parts[1].isEmpty {
        guard let value = Int(parts[1]), parts[1].utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        high = value
      }
    }
    let limit = RegularExpressionParser.maximumRepetition
    guard low <= limit, (high ?? low) <= limit, (high ?? low) >= low else { throw refused("the repetition {\(inside)}") }
    position = end + 1
    return (low, high)
  }

  private func set(_ set: CharacterSet) -> Node { .characters(flags.ignoresCase ? set.ignoringCase : set) }

  private mutating func atom() throws -> Node {
    let scalar = text[position]
    position += 1
    switch scalar {
    case ".": return .characters(flags.dotTakesNewline ? CharacterSet([0...CharacterSet.last]) : CharacterSet([10...10]).inverted)
    case "^": return flags.hasLines ? .beginLine : .begin
    case "$": return flags.hasLines ? .endLine : .end
    case "[": return set(try characterClass())
    case "*", "+", "?": throw refused("a repetition of nothing")
    case "\\":
      guard position < text.count else { throw refused("a backslash at the end") }
      switch text[position] {
      case "A": return anchored(.begin)
      case "z": return anchored(.end)
      case "b": return anchored(.word(true))
      case "B": return anchored(.word(false))
      default: return set(try escape())
      }
    default: return set(CharacterSet([scalar.value...scalar.value]))
    }
  }

  private mutating func anchored(_ node: Node) -> Node {
    position += 1
    return node
  }

  /// What stands behind a backslash.
  private mutating func escape() throws -> CharacterSet {
    guard position < text.count else { throw refused("a backslash at the end") }
    let letter = text[position]
    position += 1
    if let set = CharacterSet.perl(letter) { return set }
    func one(_ value: UInt32) -> CharacterSet { CharacterSet([value...value]) }
    switch letter {
    case "n": return one(10)
    case "t": return one(9)
    case "r": return one(13)
    case "f": return one(12)
    case "v": return one(11)
    case "a": return one(7)
    case "x":
      var digits = ""
      if accept("{") {
        while position < text.count, text[position] != "}" {
          digits.unicodeScalars.append(text[position])
          position += 1
        }
        guard accept("}") else { throw refused("\\x without its end") }
      } else if position + 2 <= text.count {
        digits = String(String.UnicodeScalarView(text[position..<position + 2]))
        position += 2
      }
      guard let value = UInt32(digits, radix: 16), value <= CharacterSet.last else { throw refused("\\x\(digits)") }
      return one(value)
    case "p", "P": return try category(negated: letter == "P")
    default:
      guard letter.isASCII, !letter.properties.isAlphabetic, !("0"..."9").contains(letter) else { throw refused("the escape \\\(letter)") }
      return one(letter.value)
    }
  }

  /// The name of a category behind `\p`.
  private mutating func category(negated: Bool) throws -> CharacterSet {
    guard position < text.count else { throw refused("a backslash at the end") }
    var name = String(text[position])
    position += 1
    var isNegated = negated
    if name == "{" {
      guard let end = text[position...].firstIndex(of: "}") else { throw refused("\\p without its end") }
      if accept("^") { isNegated.toggle() }
      name = String(String.UnicodeScalarView(text[position..<end]))
      position = end + 1
    }
    guard let set = CharacterSet.category(name) else { throw refused("the class \\p{\(name)}") }
    return isNegated ? set.inverted : set
  }

  private mutating func characterClass() throws -> CharacterSet {
    let isInverted = accept("^")
    var ranges: [ClosedRange<UInt32>] = []
    var isFirst = true
    while true {
      guard position < text.count else { throw refused("a class that does not end") }
      if text[position] == "]", !isFirst {
        position += 1
        break
      }
      isFirst = false
      if accept("[:") {
        let isNegated = accept("^")
        var name = ""
        while position < text.count, text[position] != ":" {
          name.unicodeScalars.append(text[position])
          position += 1
        }
        guard accept(":]"), let set = CharacterSet.posix(name) else { throw refused("[:\(name):]") }
        ranges += isNegated ? set.inverted.ranges : set.ranges
        continue
      }
      let low = try classMember()
      guard low.ranges.count == 1, let first = low.ranges.first, first.count == 1, position + 1 < text.count,
        text[position] == "-", text[position + 1] != "]"
      else {
        ranges += low.ranges
        continue
      }
      position += 1
      let high = try classMember()
      guard high.ranges.count == 1, let last = high.ranges.first, last.count == 1, last.lowerBound >= first.lowerBound else {
        throw refused("a range of a class")
      }
      ranges.append(first.lowerBound...last.lowerBound)
    }
    let set = CharacterSet(ranges)
    // Cases are joined before the class is turned round.
    return isInverted ? (flags.ignoresCase ? set.ignoringCase : set).inverted : set
  }

  private mutating func classMember() throws -> CharacterSet {
    let scalar = text[position]
    position += 1
    if scalar == "\\" { return try escape() }
    return CharacterSet([scalar.value...scalar.value])
  }

  // MARK: Program

  private mutating func append(_ instruction: Instruction) throws {
    guard program.count < RegularExpressionParser.maximumProgram else { throw refused("an expression of this size") }
    program.append(instruction)
  }

  private mutating func emit(_ node: Node) throws {
    emitted += 1
    guard emitted <= 10 * RegularExpressionParser.maximumProgram else { throw refused("an expression of this size") }
    switch node {
    case .empty: break
    case .characters(let set): try append(.characters(set))
    case .begin: try append(.begin)
    case .end: try append(.end)
    case .beginLine: try append(.beginLine)
    case .endLine: try append(.endLine)
    case .word(let wanted): try append(.word(wanted))
    case .group(let index, let inner):
      try append(.save(2 * index))
      try emit(inner)
      try append(.save(2 * index + 1))
    case .sequence(let items): for item in items { try emit(item) }
    case .choice(let branches):
      var jumps: [Int] = []
      for (index, branch) in branches.enumerated() {
        guard index + 1 < branches.count else {
          try emit(branch)
          break
        }
        let split = program.count
        try append(.match)
        try emit(branch)
        jumps.append(program.count)
        try append(.match)
        program[split] = .split(split + 1, program.count)
      }
      for jump in jumps { program[jump] = .jump(program.count) }
    case .repetition(let inner, let low, let high, let greedy):
      for _ in 0..<low { try emit(inner) }
      func way(_ into: Int, _ past: Int) -> Instruction { greedy ? .split(into, past) : .split(past, into) }
      guard let high else {
        let split = program.count
        try append(.match)
        try emit(inner)
        try append(.jump(split))
        program[split] = way(split + 1, program.count)
        return
      }
      var splits: [Int] = []
      for _ in low..<high {
        splits.append(program.count)
        try append(.match)
        try emit(inner)
      }
      for split in splits { program[split] = way(split + 1, program.count) }
    }
  }
}
