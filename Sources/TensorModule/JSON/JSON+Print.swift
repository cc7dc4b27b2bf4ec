extension JSON {
  /// The value as JSON text, ASCII control characters escaped.
  ///
  /// - Parameters:
  ///   - indented: two spaces a level; without it one line.
  ///   - nonFinite: what stands for NaN and infinities, which JSON cannot carry; nil: what Python writes, and reads.
  package func text(indented: Bool = false, nonFinite: String? = "null") -> String {
    var out = ""
    write(&out, indented ? 0 : nil, nonFinite)
    return out
  }

  private func write(_ out: inout String, _ indent: Int?, _ nonFinite: String?) {
    switch self {
    case .null: out += "null"
    case .bool(let value): out += value ? "true" : "false"
    case .int(let value): out += String(value)
    case .double(let value): out += value.isFinite ? "\(value)" : nonFinite ?? (value.isNaN ? "NaN" : value > 0 ? "Infinity" : "-Infinity")
    case .string(let value): JSON.quote(value, &out)
    case .array(let values):
      // Lists of plain numbers stay on one line.
      let flat = indent == nil || values.allSatisfy { if case .array = $0 { false } else if case .object = $0 { false } else { true } }
      JSON.writeList(&out, "[", "]", values, flat ? nil : indent) { $0.write(&$1, $2, nonFinite) }
    case .object(let object):
      JSON.writeList(&out, "{", "}", object.entries, indent) { entry, out, inner in
        JSON.quote(entry.key, &out)
        out += inner == nil ? ":" : ": "
        entry.value.write(&out, inner, nonFinite)
      }
    }
  }

  private static func writeList<Item>(
    _ out: inout String, _ open: String, _ close: String, _ items: [Item], _ indent: Int?,
    _ write: (Item, inout String, Int?) -> Void
  ) {
    out += open
    for (index, item) in items.enumerated() {
      if index > 0 { out += "," }
      if let indent { out += "\n" + String(repeating: " ", count: 2 * (indent + 1)) }
      write(item, &out, indent.map { $0 + 1 })
    }
    if let indent, !items.isEmpty { out += "\n" + String(repeating: " ", count: 2 * indent) }
    out += close
  }

  private static func quote(_ text: String, _ out: inout String) {
    out += "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\t": out += "\\t"
      case "\r": out += "\\r"
      default:
        if scalar.value < 0x20 || scalar.value == 0x7F {
          let digits = String(scalar.value, radix: 16)
          out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        } else {
          out.unicodeScalars.append(scalar)
        }
      }
    }
    out += "\""
  }
}
