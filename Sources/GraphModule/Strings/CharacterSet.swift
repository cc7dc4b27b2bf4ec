/// A set of characters, as ranges of their numbers.
struct CharacterSet: Sendable {
  /// Ascending, apart from each other.
  private(set) var ranges: [ClosedRange<UInt32>]

  static let last: UInt32 = 0x10FFFF

  init(_ ranges: [ClosedRange<UInt32>]) {
    var joined: [ClosedRange<UInt32>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let before = joined.last, range.lowerBound <= before.upperBound || range.lowerBound == before.upperBound + 1 {
        joined[joined.count - 1] = before.lowerBound...max(before.upperBound, range.upperBound)
      } else {
        joined.append(range)
      }
    }
    self.ranges = joined
  }

  @inline(__always)
  func contains(_ value: UInt32) -> Bool {
    if ranges.count > 16 { return found(value) }
    return ranges.contains { $0.contains(value) }
  }

  /// By halving.
  private func found(_ value: UInt32) -> Bool {
    var (low, high) = (0, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound < value { low = middle + 1 } else { high = middle }
    }
    return low < ranges.count && ranges[low].contains(value)
  }

  var isASCII: Bool { ranges.allSatisfy { $0.upperBound < 128 } }

  var inverted: CharacterSet {
    var out: [ClosedRange<UInt32>] = []
    var next: UInt32 = 0
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if range.lowerBound > next { out.append(next...(range.lowerBound - 1)) }
      next = max(next, range.upperBound + 1)
    }
    if next <= CharacterSet.last { out.append(next...CharacterSet.last) }
    return CharacterSet(out)
  }

  /// The set with the other cases of its letters, as Unicode's simple folding has them.
  var ignoringCase: CharacterSet {
    var out = self
    // A letter may have three forms: k, K and the sign of Kelvin.
    for _ in 0..<2 {
      var added: [ClosedRange<UInt32>] = []
      for (one, other) in CharacterSet.cases {
        let (hasOne, hasOther) = (out.contains(one), out.contains(other))
        if hasOne != hasOther { added.append(hasOne ? other...other : one...one) }
      }
      if added.isEmpty { break }
      out = CharacterSet(out.ranges + added)
    }
    return out
  }

  /// Letters and another case of each that is one letter.
  private static let cases: [(UInt32, UInt32)] = (UInt32(65)...0x1E943).flatMap { value -> [(UInt32, UInt32)] in
    guard let scalar = Unicode.Scalar(value), scalar.properties.isCased || scalar.properties.changesWhenCaseMapped else { return [] }
    let mappings = [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping]
    return mappings.compactMap { text in
      guard text.unicodeScalars.count == 1, let other = text.unicodeScalars.first, other != scalar else { return nil }
      return (value, other.value)
    }
  }

  /// `\p{Lu}`, `\pL`: characters of a general category, or of all that begin with a letter; nil for another name.
  static func category(_ name: String) -> CharacterSet? {
    if name == "Any" { return CharacterSet([0...last]) }
    if let set = byCategory[name] { return set }
    guard name.utf8.count == 1 else { return nil }
    let parts = byCategory.filter { $0.key.hasPrefix(name) }
    return parts.isEmpty ? nil : CharacterSet(parts.flatMap(\.value.ranges))
  }

  /// The characters of each category with an abbreviation, found when the first is asked for.
  private static let byCategory: [String: CharacterSet] = {
    var found: [String: [ClosedRange<UInt32>]] = [:]
    var (start, open) = (UInt32(0), "")
    for value in 0...last + 1 {
      let name = value <= last ? Unicode.Scalar(value).map { abbreviation($0.properties.generalCategory) } ?? "-" : ""
      if name == open { continue }
      if value > 0 { found[open, default: []].append(start...value - 1) }
      (start, open) = (value, name)
    }
    found["-"] = nil
    return found.mapValues { CharacterSet($0) }
  }()

  private static func abbreviation(_ category: Unicode.GeneralCategory) -> String {
    switch category {
    case .uppercaseLetter: "Lu"
    case .lowercaseLetter: "Ll"
    case .titlecaseLetter: "Lt"
    case .modifierLetter: "Lm"
    case .otherLetter: "Lo"
    case .nonspacingMark: "Mn"
    case .spacingMark: "Mc"
    case .enclosingMark: "Me"
    case .decimalNumber: "Nd"
    case .letterNumber: "Nl"
    case .otherNumber: "No"
    case .connectorPunctuation: "Pc"
    case .dashPunctuation: "Pd"
    case .openPunctuation: "Ps"
    case .closePunctuation: "Pe"
    case .initialPunctuation: "Pi"
    case .finalPunctuation: "Pf"
    case .otherPunctuation: "Po"
    case .mathSymbol: "Sm"
    case .currencySymbol: "Sc"
    case .modifierSymbol: "Sk"
    case .otherSymbol: "So"
    case .spaceSeparator: "Zs"
    case .lineSeparator: "Zl"
    case .paragraphSeparator: "Zp"
    case .control: "Cc"
    case .format: "Cf"
    case .privateUse: "Co"
    default: "-"
    }
  }

  private static func of(_ parts: String...) -> CharacterSet {
    CharacterSet(
      parts.compactMap { part in
        guard let first = part.unicodeScalars.first?.value, let last = part.unicodeScalars.last?.value else { return nil }
        return first...last
      })
  }

  /// `d`, `w`, `s`: classes that a backslash names.
  static func perl(_ letter: Unicode.Scalar) -> CharacterSet? {
    switch letter {
    case "d": of("09")
    case "w": of("09", "AZ", "_", "az")
    case "s": of("\t\n", "\u{C}\r", " ")
    case "D", "W", "S": perl(Unicode.Scalar(UInt8(letter.value) + 32))?.inverted
    default: nil
    }
  }

  /// `[:alpha:]` and its kind.
  static func posix(_ name: String) -> CharacterSet? {
    switch name {
    case "alnum": of("09", "AZ", "az")
    case "alpha": of("AZ", "az")
    case "ascii": of("\0\u{7F}")
    case "blank": of("\t", " ")
    case "cntrl": of("\0\u{1F}", "\u{7F}")
    case "digit": of("09")
    case "graph": of("!~")
    case "lower": of("az")
    case "print": of(" ~")
    case "punct": of("!/", ":@", "[`", "{~")
    case "space": of("\t\r", " ")
    case "upper": of("AZ")
    case "word": of("09", "AZ", "_", "az")
    case "xdigit": of("09", "AF", "af")
    default: nil
    }
  }
}
