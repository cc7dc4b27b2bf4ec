import TensorModule

/// A regular expression in the syntax of RE2: the part of it that needs no look-around and no back references, matched in
/// time that grows with the length of the text times that of the expression.
///
/// Characters, `.`, classes (`[^a-z]`, `\d \w \s`, `[:alpha:]`, categories as `\p{Lu}`), groups (capturing, named or not),
/// `|`, `* + ? {n,m}` (greedy or lazy), `^ $ \A \z \b \B`, escapes, `\Q…\E`, flags `(?imsU)` and `(?i:…)`. What else RE2
/// knows (scripts, `\C`) is refused by name. Of several matches at one place the one that Perl prefers is taken. Bytes that are not UTF-8 match nothing.
package struct RegularExpression: Sendable {
  enum Instruction: Sendable {
    case characters(CharacterSet)
    /// Two ways on, the first preferred.
    case split(Int, Int)
    case jump(Int)
    case save(Int)
    case begin
    case end
    case beginLine
    case endLine
    case word(Bool)
    case match
  }

  let program: [Instruction]
  /// Capturing groups, without the whole.
  package let groups: Int
  /// The bytes that a pattern of one character takes, when it takes only ASCII: such a pattern needs no search.
  private let single: [Bool]?

  /// - Throws: `KilnError` (`unsupportedModel`) for syntax that is not supported or wrong.
  package init(_ pattern: String) throws {
    var parser = RegularExpressionParser(pattern)
    (program, groups) = try parser.parse()
    single = RegularExpression.asciiTable(program)
  }

  /// The program of one class is: save 0, the class, save 1, match.
  private static func asciiTable(_ program: [Instruction]) -> [Bool]? {
    guard program.count == 4, case .characters(let set) = program[1], set.isASCII else { return nil }
    return (0..<256).map { $0 < 128 && set.contains(UInt32($0)) }
  }

  /// Whether the whole text matches.
  package func matchesAll(_ text: ByteString) -> Bool {
    var matcher = Matcher(self, text.bytes)
    return matcher.find(from: 0, anchored: true, whole: true) != nil
  }

  /// The text with its first match, or all that do not overlap, replaced.
  ///
  /// - Parameter rewrite: `\0` to `\9` stand for the whole match and the groups, `\\` for a backslash.
  package func replacing(_ text: ByteString, with rewrite: Rewrite, all: Bool) -> ByteString {
    if let single, all, rewrite.isLiteral {
      let bytes = text.bytes
      guard bytes.contains(where: { single[Int($0)] }) else { return text }
      var out: [UInt8] = []
      out.reserveCapacity(bytes.count)
      for byte in bytes {
        if single[Int(byte)] { out += rewrite.literal } else { out.append(byte) }
      }
      return ByteString(out)
    }
    let bytes = text.bytes
    var matcher = Matcher(self, bytes)
    var out: [UInt8] = []
    var position = 0
    var lastEnd = -1
    while position <= bytes.count, let slots = matcher.find(from: position, anchored: false, whole: false) {
      let (start, end) = (slots[0], slots[1])
      out += bytes[position..<start]
      // An empty match right behind the last one does not count, as in RE2.
      if start == end, start == lastEnd {
        guard start < bytes.count else {
          position = start
          break
        }
        let length = ByteString.scalar(in: bytes, at: start)?.1 ?? 1
        out += bytes[start..<start + length]
        position = start + length
        lastEnd = -1
        continue
      }
      rewrite.append(to: &out, bytes, slots)
      position = end
      lastEnd = end
      if !all { break }
    }
    if position < bytes.count { out += bytes[position...] }
    return ByteString(out)
  }

  /// What takes the place of a match.
  package struct Rewrite: Sendable {
    private enum Part: Sendable {
      case text([UInt8])
      case group(Int)
    }
    private var parts: [Part] = []

    var isLiteral: Bool { parts.allSatisfy { if case .text = $0 { true } else { false } } }
    var literal: [UInt8] { parts.flatMap { part -> [UInt8] in if case .text(let bytes) = part { bytes } else { [] } } }

    /// - Throws: `KilnError` for a lone backslash or a group that the expression does not have.
    package init(_ text: String, groups: Int) throws {
      var rest = Array(text.utf8)[...]
      while let byte = rest.popFirst() {
        guard byte == UInt8(ascii: "\\") else {
          parts.append(.text([byte]))
          continue
        }
        let next = rest.popFirst() ?? 0
        if next == byte { parts.append(.text([byte])) } else if (48...57).contains(next), Int(next) - 48 <= groups {
          parts.append(.group(Int(next) - 48))
        } else {
          throw KilnError(.unsupportedModel, "the rewrite \(KilnError.quoted(text)) has an unknown escape or group")
        }
      }
    }

    func append(to out: inout [UInt8], _ bytes: [UInt8], _ slots: [Int]) {
      for part in parts {
        switch part {
        case .text(let text): out += text
        case .group(let group):
          let (start, end) = (slots[2 * group], slots[2 * group + 1])
          if start >= 0, end >= start { out += bytes[start..<end] }
        }
      }
    }
  }
}

/// The states of a search: a list of places in the program for each place in the text, the preferred ones first.
private struct Matcher {
  private let program: [RegularExpression.Instruction]
  private let slotCount: Int
  private let bytes: [UInt8]
  /// For each place in the program, the step at which it was last put on a list.
  private var marks: [Int]
  private var step = 0

  private typealias Thread = (place: Int, slots: [Int])

  init(_ expression: RegularExpression, _ bytes: [UInt8]) {
    program = expression.program
    slotCount = 2 * (expression.groups + 1)
    self.bytes = bytes
    marks = [Int](repeating: -1, count: expression.program.count)
  }

  /// The slots of the leftmost match that begins at `start` or later; nil when there is none.
  mutating func find(from start: Int, anchored: Bool, whole: Bool) -> [Int]? {
    var current: [Thread] = []
    var found: [Int]?
    var position = start
    let empty = [Int](repeating: -1, count: slotCount)
    step += 1
    while true {
      if found == nil, !anchored || position == start { add(0, position, empty, &current) }
      if current.isEmpty, found != nil || anchored { return found }
      let next = position < bytes.count ? character(position) : (nil, 1)
      step += 1
      var following: [Thread] = []
      for thread in current {
        switch program[thread.place] {
        case .characters(let set):
          if let value = next.0, set.contains(value) { add(thread.place + 1, position + next.1, thread.slots, &following) }
        case .match:
          if whole, position < bytes.count { continue }
          found = thread.slots
        default: continue
        }
        if case .match = program[thread.place] { break }
      }
      guard position < bytes.count else { return found }
      position += next.1
      current = following
    }
  }

  private func character(_ position: Int) -> (UInt32?, Int) {
    if bytes[position] < 0x80 { return (UInt32(bytes[position]), 1) }
    guard let (scalar, length) = ByteString.scalar(in: bytes, at: position) else { return (nil, 1) }
    return (scalar.value, length)
  }

  private func isWord(_ position: Int) -> Bool {
    guard bytes.indices.contains(position) else { return false }
    let byte = bytes[position]
    return byte == 95 || (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
  }

  /// Puts a place on the list, or those that it leads to without taking a character.
  private mutating func add(_ place: Int, _ position: Int, _ slots: [Int], _ list: inout [Thread]) {
    var stack: [Thread] = [(place, slots)]
    while let (place, slots) = stack.popLast() {
      guard marks[place] != step else { continue }
      marks[place] = step
      switch program[place] {
      case .jump(let target): stack.append((target, slots))
      case .split(let first, let second):
        stack.append((second, slots))
        stack.append((first, slots))
      case .save(let slot):
        var changed = slots
        changed[slot] = position
        stack.append((place + 1, changed))
      case .begin: if position == 0 { stack.append((place + 1, slots)) }
      case .end: if position == bytes.count { stack.append((place + 1, slots)) }
      case .beginLine: if position == 0 || bytes[position - 1] == 10 { stack.append((place + 1, slots)) }
      case .endLine: if position == bytes.count || bytes[position] == 10 { stack.append((place + 1, slots)) }
      case .word(let wanted):
        if (isWord(position - 1) != isWord(position)) == wanted { stack.append((place + 1, slots)) }
      case .characters, .match: list.append((place, slots))
      }
    }
  }
}
