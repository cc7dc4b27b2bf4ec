/// Any failure that Kiln reports: what, where, what was expected, what was found. One line to print, a code to match on.
///
/// A property of an input file is always a `KilnError`; traps are for Kiln's own bugs only.
public struct KilnError: Error, Hashable, Sendable {
  /// The stable kind of a failure; it decides the commands' exit code.
  public enum Code: String, Sendable, CaseIterable {
    /// Something on this machine failed: a file that cannot be written, no memory.
    case failed
    /// Numbers differ by more than the tolerance.
    case toleranceExceeded = "tolerance-exceeded"
    /// The model holds a layer, op or attribute that is not supported.
    case unsupportedModel = "unsupported-model"
    /// The input (a model file or data) is damaged, malformed or does not fit.
    case badInput = "bad-input"
    case usage
    /// A bug in Kiln.
    case `internal`

    /// The exit code of the commands.
    public var exitCode: Int32 {
      switch self {
      case .failed: 1
      case .toleranceExceeded: 2
      case .unsupportedModel: 3
      case .badInput: 4
      case .usage: 64
      case .internal: 70
      }
    }
  }

  public var code: Code
  /// One line, without the path.
  public var message: String
  /// Where: the file, then places inside it (`model.h5`, `model_weights/dense_2/kernel:0`).
  public var path: [String]
  /// What the user can do about it, when that is known.
  public var hint: String?

  public init(_ code: Code, _ message: String, at path: [String] = [], hint: String? = nil) {
    self.code = code
    self.message = message
    self.path = path
    self.hint = hint
  }

  /// The same error with a place put before its path.
  public func inside(_ place: String) -> KilnError {
    var copy = self
    copy.path.insert(place, at: 0)
    return copy
  }

  /// The one line that a command prints after `error: `: control characters escaped, at most 1,000 characters.
  public var line: String {
    let places = path.map { KilnError.escaped($0, limit: 200) }
    let head = places.isEmpty ? "" : places.joined(separator: ": ") + ": "
    let tail = hint.map { " (\($0))" } ?? ""
    return KilnError.escaped(head + message + tail, limit: 1000)
  }

  /// A name from a file made safe to print: control characters escaped, cut at `limit` characters.
  public static func escaped(_ text: String, limit: Int = 120) -> String {
    var out = ""
    var count = 0
    for scalar in text.unicodeScalars {
      if count == limit { return out + "…" }
      count += 1
      switch scalar.value {
      case 0x0A: out += "\\n"
      case 0x09: out += "\\t"
      case 0..<0x20, 0x7F..<0xA0, 0x2028, 0x2029, 0x202A...0x202E, 0x2066...0x2069:
        out += "\\u{" + String(scalar.value, radix: 16) + "}"
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out
  }

  /// A name from a file in quotes, made safe to print.
  public static func quoted(_ text: String) -> String { "'" + escaped(text) + "'" }
}

extension KilnError: CustomStringConvertible {
  public var description: String { line }
}
